"""Mails of `letters`, damaged by chance."""

import random

from tests.unit.intake.mail.letters import LETTERS

RAW = [letter.raw for letter in LETTERS]
PIECES = [
    b"\r\n", b"\n", b"\r", b"\x00", b"\x1b$B", b"~{", b"+AAA-", b"\xff\xfe", b"\xed\xa0\x80", b"=?utf-8?b?", b"?=",
    b"=\r\n", b"--", b"<", b">", b";", b'"', b"Content-Type: message/rfc822\r\n\r\n", b"charset=gb2312",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", b"Content-Transfer-Encoding: base64\r\n", b"Subject: ",
    b"From: ", b"charset=utf-7", b"<blockquote>", "写道：".encode(), "发件人：".encode("gb18030"),
]  # fmt: skip


def damaged(chance: random.Random) -> bytes:
    """A mail with bytes exchanged, taken out, doubled, or with pieces of another put in; or no mail at all."""
    if chance.random() < 0.1:
        return chance.randbytes(chance.randrange(2000))
    raw = bytearray(chance.choice(RAW))
    for _ in range(chance.randrange(1, 13)):
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
