"""Whatever bytes arrive, something sound becomes of them. `PINGXI_FUZZ=10000` tries that many of each."""

import os
import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.sealing import Sealer
from services.intake.mail.policy import complete, own_addresses, submission_of, ticket_named
from services.intake.mail.reading import read
from services.intake.mail.robots import reason_not_to_open
from services.intake.policy import fingerprint, judge
from services.intake.text import valid_unicode, visible
from services.intake.wire import complaint_to_message
from tests.unit.intake.fakes import NOW, SECRETS, policies
from tests.unit.intake.mail.damage import damaged

CASES = int(os.environ.get("PINGXI_FUZZ", "150"))
SEALER = Sealer("k1", {"k1": b"k" * 32})
OWN = own_addresses(policies(), [])


def check(raw: bytes) -> None:
    mail = read(raw)
    said = (mail.subject, mail.sender, mail.reply_to, mail.message_id, mail.text, mail.written)
    for text in (*said, *mail.references, *mail.others):
        assert valid_unicode(text)
        assert "\x00" not in text
    assert visible(mail.written) or not visible(mail.text)
    if reason_not_to_open(mail, False, OWN, bool(ticket_named(mail))) is not None:
        return
    submission = submission_of(mail, "a@example.com", policies()["demo"], SECRETS.customer_ref)
    complaint = complete(submission, [], [image.name for image in mail.images], mail)
    if complaint is None:
        assert not visible(mail.text)
        assert not mail.images
        return
    assert visible(complaint.description)
    sent = fingerprint(SECRETS.customer_ref, complaint)
    message = complaint_to_message(judge(policies()["demo"], complaint, "T", "ref", sent, NOW), SEALER)
    assert message.body.SerializeToString()
    assert read(raw) == mail


@settings(max_examples=CASES)
@given(st.binary(max_size=2000))
@example(b"\xff\xfe")
@example(b"Content-Type: text/plain; charset=utf-16\r\n\r\n\x00\xd8")
def test_any_bytes_become_a_mail(raw: bytes) -> None:
    check(raw)


@settings(max_examples=CASES)
@given(st.integers(0, 2**64))
def test_any_damage_to_a_mail_leaves_a_mail(seed: int) -> None:
    check(damaged(random.Random(seed)))
