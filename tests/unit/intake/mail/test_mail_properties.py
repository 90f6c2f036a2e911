"""Whatever bytes arrive, something sound becomes of them. `PINGXI_FUZZ_CASES=10000` tries that many of each."""

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
from tests.unit.intake.mail.letters import LETTERS

CASES = int(os.environ.get("PINGXI_FUZZ_CASES", "150"))
SEALER = Sealer("k1", {"k1": b"k" * 32})
OWN = own_addresses(policies(), [])
RAW = [letter.raw for letter in LETTERS]
PIECES = [
    b"\r\n", b"\n", b"\r", b"\x00", b"\x1b$B", b"~{", b"+AAA-", b"\xff\xfe", b"\xed\xa0\x80", b"=?utf-8?b?", b"?=",
    b"=\r\n", b"--", b"<", b">", b";", b'"', b"Content-Type: message/rfc822\r\n\r\n", b"charset=gb2312",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", b"Content-Transfer-Encoding: base64\r\n", b"Subject: ",
    b"From: ", b"charset=utf-7", b"<blockquote>", "写道：".encode(), "发件人：".encode("gb18030"),
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A mail of `letters` with bytes exchanged, taken out, doubled, or pieces of another put in."""
    raw = bytearray(draw(st.sampled_from(RAW)))
    chance = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(1, 12))):
        at = chance.randrange(len(raw) + 1)
        end = min(len(raw), at + chance.choice([0, 1, 1, 2, 7, 60, 400]))
        match chance.randrange(5):
            case 0:
                raw[at:end] = chance.randbytes(end - at)
            case 1:
                del raw[at:end]
            case 2:
                raw[at:at] = raw[at:end] * chance.randrange(1, 20)
            case 3:
                raw[at:at] = chance.choice(PIECES)
            case _:
                other = chance.choice(RAW)
                begin = chance.randrange(len(other) + 1)
                raw[at:end] = other[begin : begin + chance.randrange(300)]
    return bytes(raw)


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
@given(mutated())
def test_any_damage_to_a_mail_leaves_a_mail(raw: bytes) -> None:
    check(raw)
