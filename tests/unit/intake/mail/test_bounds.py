# ruff: noqa: E501 (headers made to hurt are long)
"""Mails made to hurt: what is read of them is bounded, and what was said at their beginning is heard."""

import base64
from collections.abc import Callable

import pytest

from services.intake.mail import mime, reading
from services.intake.mail.markup import read_page
from services.intake.mail.reading import read
from tests.unit.intake.mail.letters import JPEG, ROTTEN, file_part, mail, multipart, plain, text_part, with_parts


def nested(depth: int) -> bytes:
    part = text_part("innermost")
    for level in range(depth):
        part = multipart("mixed", part, boundary=f"b{level}b")
    return part


def test_parts_within_parts_are_read_to_a_depth() -> None:
    assert read(with_parts(parts=nested(mime.MAX_DEPTH - 1))).text == "innermost"
    deep = read(with_parts(parts=nested(mime.MAX_DEPTH * 20)))
    assert deep.cut
    # Raw, but seen.
    assert "b799b" in deep.text


def test_mails_within_mails_are_read_to_a_depth() -> None:
    mail_in_mail = mail("Content-Type: message/rfc822", body=b"Content-Type: message/rfc822\n\n" * 50_000)
    assert read(mail_in_mail).cut


def test_a_mail_of_too_many_parts_is_read_at_its_beginning() -> None:
    parts = multipart("mixed", text_part(ROTTEN), *[text_part("")] * mime.MAX_PARTS * 10)
    found = read(with_parts(parts=parts))
    assert found.cut
    assert found.text == ROTTEN


def test_headers_are_bounded_in_number_and_length() -> None:
    many = read(mail(*["X-Many: 1"] * 5000, plain(), body=ROTTEN))
    assert len(many.headers) == mime.MAX_HEADERS
    long = read(mail(plain(), "X-Long: " + "x" * 300_000, body=ROTTEN))
    assert max(len(value) for _, value in long.headers) <= mime.MAX_HEADER
    assert long.text == ROTTEN


def test_a_header_without_end_is_cut() -> None:
    endless = mail(plain(), b"X-Endless: " + b"x" * 3_000_000, body=ROTTEN)
    assert read(endless).text == ROTTEN
    assert read(b"a: b\r\n" * 500_000).text == ""


def test_references_are_bounded() -> None:
    found = read(mail("References: " + " ".join(f"<{number}@x>" for number in range(500)), body="x"))
    assert found.references[0] == "499@x"
    assert len(found.references) == reading.MAX_REFERENCES


def test_a_text_is_read_up_to_a_bound() -> None:
    found = read(mail(plain(), body=(ROTTEN + "\n") * 100_000))
    assert found.cut
    assert len(found.text) == reading.MAX_READ


def test_html_nested_without_end_is_read_without_its_structure() -> None:
    assert read_page("<div>" * 100_000 + ROTTEN).text.strip() == ROTTEN
    assert read_page("<b></i>" * 100_000 + ROTTEN).text.strip() == ROTTEN
    assert read_page("<table><tr><td>" * 50_000 + ROTTEN).text.strip() == ROTTEN


def test_pictures_in_a_page_are_few_and_broken_ones_are_text() -> None:
    picture = f'<img src="data:image/jpeg;base64,{base64.b64encode(JPEG).decode()}">'
    assert read_page(picture * 50).images == (JPEG,) * 10
    assert read_page("<a href='data:image/png;base64,a" * 20_000).images == ()


@pytest.mark.parametrize(
    "markup", ["<" * 100_000, "<!--" * 100_000, "<a " * 100_000, "&" * 100_000, "<script>" * 1000, "<svg><a>" * 50_000]
)
def test_broken_html_says_nothing(markup: str) -> None:
    assert "x" not in read_page(markup).text


@pytest.mark.parametrize(
    "header",
    [
        "From: " + "(" * 2000, "From: " + '"' * 2001, "From: " + "<" * 3000, "From: " + "@," * 3000, "Subject: " + "=?" * 8000,
        "Subject: " + "=?utf-8?b?" * 1000, "References: " + "<" * 16000, "Date: " + "9" * 5000, "Message-Id: " + "<" * 9000,
        "Content-Type: text/plain; " + "a;" * 8000, "Content-Type: text/plain; " + '"a;' * 5000,
        "Content-Type: text/plain; " + "".join(f"a*{number}=b;" for number in range(2000)),
        "Content-Type: text/plain; charset*x=y", "Content-Type: text/plain; charset=" + "x" * 5000,
        "Content-Type: text/plain; charset*0*=utf-8''%ff; charset*1*=%", "Content-Disposition: attachment; filename*9*=a",
        "Content-Type: ;;;", "Content-Type: /", "Content-Transfer-Encoding: uuencode", "Content-Transfer-Encoding: \udcff",
    ],
    ids=lambda header: header[:30],
)  # fmt: skip
def test_a_broken_header_hides_no_text(header: str) -> None:
    raw = mail(header.encode("utf-8", "surrogateescape"), body=ROTTEN)
    found = read(raw)
    assert found.text == ROTTEN or found.others


@pytest.mark.parametrize(
    "body",
    [
        lambda: "\n" * 200_000,
        lambda: "> \n" * 60_000,
        lambda: "发件人:\n" * 30_000,
        lambda: "x 写道：\n" * 30_000,
        lambda: "On " * 60_000,
        lambda: ("-" * 380 + "\n") * 500,
        lambda: ("发自" + "a" * 390 + "\n") * 500,
        lambda: ("本邮件" * 100 + "\n") * 500,
        lambda: ("转发" * 190 + "\n") * 500,
    ],
)
def test_text_made_to_be_slow_to_cut_is_read(body: Callable[[], str]) -> None:
    assert read(mail("Subject: Re: x", plain(), body="牛奶坏了\n" + body())).written.startswith("牛奶坏了")


def test_a_picture_of_the_largest_size_is_whole() -> None:
    picture = JPEG + b"x" * (8 * 1024 * 1024)
    (image,) = read(with_parts(parts=multipart("mixed", file_part(picture, "image/jpeg")))).images
    assert image.content == picture
