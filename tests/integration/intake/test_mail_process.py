"""The process itself and its mails: killed in the middle, and fed with damaged ones."""

import asyncio
import os
import random
import signal
import smtplib
from collections import Counter
from pathlib import Path

import httpx
import pytest

from common.policyfiles import load_all
from rules.model import PolicySet
from services.intake.mail.policy import own_addresses, reference_hash, submission_of, ticket_named
from services.intake.mail.reading import read
from services.intake.mail.robots import reason_not_to_open
from tests.integration.intake.mailing import CUSTOMER, OUR_ADDRESS, client_of, complaints, hand_in
from tests.integration.intake.running import Running, is_ready, until
from tests.integration.intake.test_process import process, settings_for
from tests.unit.intake.mail.damage import damaged
from tests.unit.intake.mail.letters import mail, plain

SENDERS = 4
EACH = 60
# `PINGXI_FUZZ=10000` sends that many.
CASES = int(os.environ.get("PINGXI_FUZZ", "120"))


def letter(text: str) -> bytes:
    return mail(f"Message-Id: <{text}@qq.com>", plain(), body=text)


def send_all(intake: Running, texts: list[str], taken: list[str]) -> None:
    """Adds the texts that were answered 250, until the connection broke."""
    try:
        with client_of(intake) as client:
            for text in texts:
                code = hand_in(client, letter(text))
                assert code in (250, 421, 451)
                if code == 250:
                    taken.append(text)
    except (smtplib.SMTPException, OSError):
        pass


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_every_mail_that_was_answered_250_is_in_the_log_and_its_retry_is_the_same_complaint(
    how: signal.Signals, kafka: str, prefix: str, key_file: Path, tmp_path: Path
) -> None:
    settings = settings_for(kafka, prefix, key_file)
    log = tmp_path / "log"
    texts = [[f"{how.name}-{sender}-{number}" for number in range(EACH)] for sender in range(SENDERS)]
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        intake = Running(settings, client)
        async with process(settings, log) as child:
            await until(lambda: is_ready(intake))
            taken: list[str] = []
            sending = [asyncio.create_task(asyncio.to_thread(send_all, intake, each, taken)) for each in texts]

            async def under_way() -> bool:
                return len(taken) >= SENDERS

            await until(under_way)
            child.send_signal(how)
            await child.wait()
            if how is signal.SIGTERM:
                assert child.returncode == 0
            await asyncio.gather(*sending)
        assert SENDERS <= len(taken) < SENDERS * EACH
        assert set(taken) <= set(await complaints(intake))
        async with process(settings, log):
            await until(lambda: is_ready(intake))
            again: list[str] = []
            await asyncio.gather(*(asyncio.to_thread(send_all, intake, each, again) for each in texts))
        assert sorted(again) == sorted(text for each in texts for text in each)
        found = await complaints(intake)
    for each in texts:
        for text in each:
            assert len({(record.key, record.body.fingerprint) for record in found[text]}) == 1
    written = log.read_text()
    assert "zhangsan" not in written
    assert how.name + "-" not in written


def what_is_said(raw: bytes, policies: PolicySet, secret: bytes) -> str:
    """The words of the complaint that the mail is, empty if it is none."""
    seen = read(raw)
    if reason_not_to_open(seen, False, own_addresses({"default": policies}, [OUR_ADDRESS]), bool(ticket_named(seen))):
        return ""
    return submission_of(seen, CUSTOMER, policies, secret).description


@pytest.mark.timeout(180 + CASES // 20)
async def test_damaged_mails_are_answered_and_none_that_says_something_is_lost(
    kafka: str, prefix: str, key_file: Path, tmp_path: Path
) -> None:
    # They are all of one customer.
    settings = settings_for(kafka, prefix, key_file).model_copy(update={"intake_customer_per_minute": 0})
    log = tmp_path / "log"
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    # Only a mail program knows which dots it has to double; the last line has an end, or the client would add it.
    bodies = [damaged(chance).replace(b"\n.", b"\n,") + b"\r\n" for _ in range(CASES)]
    mails = [f"Message-Id: <{seed}-{number}@x>\r\n".encode() + body for number, body in enumerate(bodies)]
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        intake = Running(settings, client)
        async with process(settings, log) as child:
            await until(lambda: is_ready(intake))

            def send() -> Counter[int]:
                codes: Counter[int] = Counter()
                for start in range(0, CASES, 500):
                    with client_of(intake) as connection:
                        codes.update(hand_in(connection, raw) for raw in mails[start : start + 500])
                return codes

            codes = await asyncio.to_thread(send)
            assert set(codes) == {250}, (codes, seed)
            assert child.returncode is None
            assert (await intake.readiness()).status_code == 200
            found = await complaints(intake)
    assert "mail failed" not in log.read_text(), seed
    secret = intake.keys.secrets["customer_ref"]
    policies = load_all(settings.policies)["default"]
    logged = {record.body.channel_facts["message_id"] for records in found.values() for record in records}
    said = {number: words for number, raw in enumerate(mails) if (words := what_is_said(raw, policies, secret))}
    # The sixth mail of the same words is dropped: its words are there, before a note of what else was attached.
    texts = {text.partition("\n\n（")[0].partition("\n\n(")[0] for text in found}
    lost = [
        number
        for number, words in said.items()
        if reference_hash(secret, f"{seed}-{number}@x") not in logged
        and words.partition("\n\n（")[0].partition("\n\n(")[0] not in texts
    ]
    assert lost == [], seed
    print(
        f"{CASES} damaged mails, seed {seed}: {dict(codes)}, {len(said)} of them complaints, {len(logged)} in the log"
    )
