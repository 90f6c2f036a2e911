"""Mail over SMTP, by Python's own client, into real Kafka."""

import asyncio
import io
import logging
import smtplib
import socket
from contextlib import AsyncExitStack, ExitStack
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image

from common.settings import host_port
from rules import number
from services.intake.mail import server
from services.intake.mail.policy import reference_hash
from tests.integration.intake.conftest import StartIntake
from tests.integration.intake.mailing import CUSTOMER, OUR_ADDRESS, client_of, complaints, hand_in, mailed, trusting
from tests.integration.intake.running import Running, forwarded, free_ports, until
from tests.unit.intake.mail.letters import LETTERS, mail, plain
from wire.personal import open_personal

TO_DATA = b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<complaint@x.example>\r\nDATA\r\n"
TICKET = number.from_random(987654321987654321)


def letter(text: str, *headers: str) -> bytes:
    return mail(*headers, plain(), body=text)


def with_picture(text: str) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(written, "PNG")
    message = EmailMessage()
    message["From"] = CUSTOMER
    message["Message-Id"] = f"<{abs(hash(text))}@qq.com>"
    message.set_content(text)
    message.add_attachment(written.getvalue(), maintype="image", subtype="png", filename="坏牛奶.png")
    return message.as_bytes()


async def metric(intake: Running, sample: str) -> float:
    text = (await intake.client.get(f"http://{intake.settings.intake_metrics}/metrics")).text
    return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(sample)), 0.0)


async def test_a_mail_that_was_answered_250_is_in_the_log_sealed(
    start_intake: StartIntake, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with start_intake() as intake:
        raw = letter(
            "奶有异味", f"Subject: Re: {TICKET.lower()}", "Message-Id: <1@qq.com>", "In-Reply-To: <0@pingxi.example>"
        )
        assert await mailed(intake, raw, to="complaint+demo@xiaoxiang.example") == [250]
        (record,) = (await complaints(intake))["奶有异味"]
    secret = intake.keys.secrets["customer_ref"]
    assert record.body.brand == "demo"
    assert open_personal(intake.keys.sealer(), record.key, record.body.personal).contact == CUSTOMER
    assert record.body.thread_hint.ticket_id == TICKET
    own, answered = reference_hash(secret, "1@qq.com"), reference_hash(secret, "0@pingxi.example")
    assert list(record.body.thread_hint.mail_references) == [own, answered]
    assert dict(record.body.channel_facts) == {"message_id": own}
    for secret_word in ("zhangsan", "qq.com", "奶有异味"):
        assert secret_word.encode() not in record.raw
        assert secret_word not in caplog.text


async def test_the_same_mail_twice_and_at_two_instances_is_one_complaint(start_intake: StartIntake) -> None:
    accepted = 'pingxi_complaints_accepted_total{brand="default",channel="mail"}'
    async with start_intake() as one, start_intake() as two:
        before = await metric(one, accepted)
        raw = letter("同一封信")
        assert await mailed(one, raw, raw) == [250, 250]
        assert await metric(one, accepted) == before + 2
        assert len((await complaints(one))["同一封信"]) == 1
        assert await mailed(two, raw) == [250]
        records = (await complaints(one))["同一封信"]
    assert len({record.headers["ce_id"] for record in records}) == 1
    assert len({record.body.fingerprint for record in records}) == 1


async def test_without_a_broker_the_sender_is_told_to_try_again_and_the_retry_is_taken(
    start_intake: StartIntake, kafka: str
) -> None:
    (port,) = free_ports(1)
    away = {"kafka": f"127.0.0.1:{port}", "intake_publish_seconds": 0.5}
    async with AsyncExitStack() as broker, start_intake(wait=False, **away) as intake:
        raw = letter("断网时的投诉")
        assert await mailed(intake, raw, raw) == [451, 451]
        await broker.enter_async_context(forwarded(port, kafka))

        async def taken() -> bool:
            return await mailed(intake, raw) == [250]

        await until(taken)
        here = Running(intake.settings.model_copy(update={"kafka": kafka}), intake.client)
        records = (await complaints(here))["断网时的投诉"]
    assert len({record.key for record in records}) == 1


async def test_a_picture_is_an_upload_and_a_retry_the_same_complaint(start_intake: StartIntake, mongo: str) -> None:
    async with start_intake(mongo=mongo) as one, start_intake(mongo=mongo) as two:
        raw = with_picture("图里的牛奶")
        assert await mailed(one, raw, raw) == [250, 250]
        assert await mailed(two, raw) == [250]
        first, second = (await complaints(one))["图里的牛奶"]
        assert (first.key, first.body.fingerprint) == (second.key, second.body.fingerprint)
        (upload,) = first.body.images
        headers = {"authorization": f"Bearer {one.keys.channels['app']}"}
        picture = await one.client.get(f"{one.url}/api/uploads/{upload}", headers=headers)
        assert (picture.status_code, picture.content[:3]) == (200, b"\xff\xd8\xff")


async def test_without_a_database_a_mail_with_a_picture_waits_and_one_without_does_not(
    start_intake: StartIntake,
) -> None:
    (port,) = free_ports(1)
    async with start_intake(mongo=f"mongodb://127.0.0.1:{port}/nobody") as intake:
        assert await mailed(intake, with_picture("有图没库"), letter("没图没库")) == [451, 250]
        found = await complaints(intake)
    assert "有图没库" not in found
    assert len(found["没图没库"]) == 1


async def test_what_is_wrong_is_said_at_its_stage(start_intake: StartIntake) -> None:
    async with start_intake(intake_smtp_bytes=100_000) as intake:

        def converse() -> None:
            with client_of(intake) as client:
                assert client.esmtp_features["size"] == "100000"
                assert "auth" not in client.esmtp_features
                assert "starttls" not in client.esmtp_features
                assert client.docmd("AUTH", "PLAIN AHgAeQ==")[0] == 502
                assert client.docmd("RCPT", f"TO:<{OUR_ADDRESS}>")[0] == 503
                assert client.docmd("DATA")[0] == 503
                for nonsense in ("FROM:<", "FROM:<nobody>", "FROM:<a@.>[", "FROM:<@ [\t", "FROM:x"):
                    assert 500 < client.docmd("MAIL", nonsense)[0] < 560
                assert client.mail(CUSTOMER, ["SIZE=100001"])[0] == 552
                assert client.mail(CUSTOMER)[0] == 250
                assert client.rcpt("postmaster@xiaoxiang.example")[0] == 550
                assert client.rcpt("complaint+nobody@xiaoxiang.example")[0] == 550
                assert client.docmd("DATA")[0] == 503
                assert client.rcpt(OUR_ADDRESS)[0] == 250
                assert client.data(letter("x" * 100_001))[0] == 552
                assert client.docmd("NONSENSE")[0] == 500
                assert client.docmd("VRFY", OUR_ADDRESS)[0] == 252
                assert hand_in(client, letter("过长之后")) == 250

        await asyncio.to_thread(converse)
        assert len((await complaints(intake))["过长之后"]) == 1


async def test_robots_are_answered_250_and_open_nothing(start_intake: StartIntake) -> None:
    sample = 'pingxi_complaints_rejected_total{channel="mail",reason="%s"}'
    async with start_intake() as intake:
        reasons = ("auto_reply", "bounce", "list", "loop", "empty")
        before = [await metric(intake, sample % reason) for reason in reasons]
        robots = [
            letter("自动的一", "Auto-Submitted: auto-replied"),
            letter("自动的二", "From: MAILER-DAEMON@mx.example"),
            letter("自动的三", "List-Id: <a.b.example>"),
            letter("自动的四", "X-Pingxi: received"),
            letter(""),
        ]
        assert await mailed(intake, *robots) == [250] * 5
        assert await mailed(intake, letter("自动的五"), sender="") == [250]
        after = [await metric(intake, sample % reason) for reason in reasons]
        found = await complaints(intake)
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 2, 1, 1, 1]
    assert not [text for text in found if text.startswith("自动的")]


async def test_every_letter_goes_through(start_intake: StartIntake, mongo: str) -> None:
    """None of the mails of the unit tests is answered with anything but 250, or 451 if the log should stumble."""
    async with start_intake(mongo=mongo) as intake:
        codes = await mailed(intake, *(each.raw for each in LETTERS if each.raw))
        assert set(codes) == {250}
        found = await complaints(intake)
    missing = [each.name for each in LETTERS if each.words and not each.facts and each.words not in found]
    assert missing == []


async def test_many_commands_may_be_sent_at_once(start_intake: StartIntake) -> None:
    async with start_intake() as intake:
        reader, writer = await asyncio.open_connection(*host_port(intake.settings.intake_smtp))
        raw = letter("一次发完")
        writer.write(
            b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<complaint@x.example>\r\nDATA\r\n"
            + raw
            + b"\r\n.\r\nQUIT\r\n"
        )
        answers = (await reader.read()).decode().splitlines()
        writer.close()
        assert [answer[:3] for answer in answers if answer[3] == " "] == [
            "220",
            "250",
            "250",
            "250",
            "354",
            "250",
            "221",
        ]
        assert "250-PIPELINING" in answers
        assert len((await complaints(intake))["一次发完"]) == 1


async def test_a_line_may_be_far_longer_than_the_standard_says(start_intake: StartIntake) -> None:
    async with start_intake() as intake:
        assert await mailed(intake, letter("很长的一行" + "x" * 200_000)) == [250]
        assert any(text.startswith("很长的一行") for text in await complaints(intake))


async def test_who_writes_too_much_is_asked_to_come_back_and_nobody_else(start_intake: StartIntake) -> None:
    async with start_intake(intake_customer_per_minute=2) as intake:
        mine = [letter(f"第{number}封", "From: flood@example.com") for number in range(3)]
        # What was taken may be repeated.
        assert await mailed(intake, *mine, mine[0]) == [250, 250, 451, 250]
        assert await mailed(intake, letter("别人的信", "From: other@example.com")) == [250]


async def test_connections_beyond_their_number_are_asked_to_come_back(start_intake: StartIntake) -> None:
    async with start_intake(intake_smtp_connections=3) as intake:

        def crowd() -> None:
            with ExitStack() as held:
                for _ in range(3):
                    held.enter_context(client_of(intake))
                with pytest.raises(smtplib.SMTPConnectError) as refused:
                    client_of(intake)
                assert refused.value.smtp_code == 421

        await asyncio.to_thread(crowd)

        async def admitted() -> bool:
            try:
                return await mailed(intake, letter("又有空位")) == [250]
            except smtplib.SMTPConnectError:
                return False

        await until(admitted)


async def test_a_mail_that_would_fill_the_memory_is_ended(start_intake: StartIntake) -> None:
    async with start_intake(intake_smtp_bytes=1_000_000) as intake:
        reader, writer = await asyncio.open_connection(*host_port(intake.settings.intake_smtp))
        writer.write(
            b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<complaint@x.example>\r\nDATA\r\n" + b"\r\n" * 60_000
        )
        answers = (await reader.read()).decode().splitlines()
        writer.close()
        assert answers[-1].startswith("552")
        assert await mailed(intake, letter("之后照常")) == [250]


async def test_memory_for_all_mails_is_bounded(start_intake: StartIntake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_HELD", 300_000)
    monkeypatch.setattr(server.SmtpServer.__init__, "__defaults__", (None, 300_000))
    async with start_intake() as intake:
        both = [await asyncio.open_connection(*host_port(intake.settings.intake_smtp)) for _ in range(2)]
        for _, writer in both:
            writer.write(TO_DATA + b"x" * 200_000)
        reads = [asyncio.ensure_future(reader.read()) for reader, _ in both]
        ended, held = await asyncio.wait(reads, return_when=asyncio.FIRST_COMPLETED)
        assert [read.result().decode().splitlines()[-1][:3] for read in ended] == ["421"]
        for _, writer in both:
            writer.close()
        await asyncio.gather(*held)

        async def taken() -> bool:
            return await mailed(intake, letter("内存够了")) == [250]

        await until(taken)


async def test_a_client_that_breaks_off_leaves_nothing(
    start_intake: StartIntake, caplog: pytest.LogCaptureFixture
) -> None:
    async with start_intake() as intake:
        for size in (0, 10, 60, 90):
            with socket.create_connection(host_port(intake.settings.intake_smtp)) as broken:
                broken.sendall((TO_DATA + b"half a mail\r\n")[:size])
        assert await mailed(intake, letter("没有断开")) == [250]
        assert "half a mail" not in await complaints(intake)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pingxi")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    files[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


async def test_a_connection_can_be_encrypted(start_intake: StartIntake, certificate: tuple[Path, Path]) -> None:
    files = {"intake_smtp_certificate": certificate[0], "intake_smtp_key": certificate[1]}
    async with start_intake(**files) as intake:

        def encrypted() -> int:
            with client_of(intake) as client:
                assert client.starttls(context=trusting())[0] == 220
                client.ehlo()
                assert "auth" not in client.esmtp_features
                return hand_in(client, letter("加密的信"))

        assert await asyncio.to_thread(encrypted) == 250
        assert len((await complaints(intake))["加密的信"]) == 1


async def test_a_certificate_without_its_key_stops_the_start(
    start_intake: StartIntake, certificate: tuple[Path, Path]
) -> None:
    with pytest.raises(ValueError, match="PINGXI_INTAKE_SMTP_KEY"):
        async with start_intake(intake_smtp_certificate=certificate[0]):
            pass
    with pytest.raises(ValueError, match="PINGXI_INTAKE_SMTP_CERTIFICATE"):
        async with start_intake(intake_smtp_certificate=certificate[1], intake_smtp_key=certificate[1]):
            pass
