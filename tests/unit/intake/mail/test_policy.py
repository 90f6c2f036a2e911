"""Whose a mail is, which ticket it names, which language it is in."""

import pytest

from rules import number
from services.intake.mail.policy import brand_of, locale_of, ticket_named
from services.intake.mail.reading import read
from services.intake.mail.repeats import Repeats
from tests.unit.intake.fakes import policies
from tests.unit.intake.mail.letters import mail, word

TICKET = number.from_random(0x7A5C3_9E1F0_B2D48 & (1 << 60) - 1)
BARE = TICKET.replace("-", "")


@pytest.mark.parametrize(
    ("address", "brand"),
    [
        ("complaint@xiaoxiang.example", "default"),
        ("Complaint@XiaoXiang.Example", "default"),
        ("complaint@somewhere.else.example", "default"),
        ("complaint+demo@xiaoxiang.example", "demo"),
        ("complaint+Demo@anywhere.example", "demo"),
        ("complaint+nobody@xiaoxiang.example", None),
        ("postmaster@xiaoxiang.example", None),
        ("complaints@xiaoxiang.example", None),
        ("complaint", None),
        ("", None),
    ],
)
def test_an_address_is_a_brands_or_nobodys(address: str, brand: str | None) -> None:
    assert brand_of(address, policies(), "default") == brand


@pytest.mark.parametrize(
    "subject",
    [
        f"Re: 【小象买菜】工单 {TICKET}",
        f"回复：您的投诉（工单{TICKET}）已收到",
        f"Re: {TICKET.lower()}",
        f"Re: {BARE}",
        f"Re: {BARE.lower()}!",
        f"Re: [{TICKET.replace('-', '–')}]",
        f"Re: {TICKET.replace('-', ' ')} 退款",
        "Re: " + "".join(chr(ord(letter) + 0xFEE0) for letter in TICKET),
    ],
)
def test_a_number_in_the_subject_is_found_however_it_is_written(subject: str) -> None:
    assert ticket_named(read(mail(f"Subject: {word(subject, 'utf-8')}"))) == TICKET


@pytest.mark.parametrize(
    "subject", ["投诉", "订单 2026112212345", "订单2026112212345678", f"x{BARE}y", "that were sold a", ""]
)
def test_other_numbers_and_words_are_no_tickets(subject: str) -> None:
    assert ticket_named(read(mail(f"Subject: {word(subject, 'utf-8')}"))) == ""


def test_a_mistyped_number_is_no_ticket() -> None:
    wrong = TICKET[:-1] + ("0" if TICKET[-1] != "0" else "1")
    assert ticket_named(read(mail(f"Subject: Re: {wrong}"))) == ""


def test_an_answer_to_a_mail_of_ours_names_its_ticket() -> None:
    answered = f"In-Reply-To: <pingxi.{BARE}.received-1@xiaoxiang.example>"
    assert ticket_named(read(mail("Subject: Re: 投诉", answered))) == TICKET
    assert ticket_named(read(mail("Subject: Re: 投诉", "In-Reply-To: <other.7K3M@xiaoxiang.example>"))) == ""


@pytest.mark.parametrize(
    ("text", "default", "locale"),
    [
        ("牛奶坏了，请退款", "en", "zh-CN"),
        ("牛奶壞了，請退款", "zh-CN", "zh-TW"),
        ("The milk is bad", "zh-CN", "en"),
        ("我的 iPhone 上 App 打不开", "en", "zh-CN"),
        ("Order of Mr 王 is missing two items", "zh-CN", "en"),
        ("不好吃", "zh-TW", "zh-TW"),
        ("12345 !!", "zh-TW", "zh-TW"),
        ("", "en", "en"),
        ("", "fr", "zh-CN"),
    ],
)
def test_the_language_is_that_of_the_text(text: str, default: str, locale: str) -> None:
    assert locale_of(text, default) == locale


def test_repeats_are_forgotten_after_an_hour_and_beyond_their_number() -> None:
    repeats = Repeats(most=1, keep_seconds=10, max_known=2)
    assert [repeats.too_often("a", mail_id, 0) for mail_id in ("1", "1", "2")] == [False, False, True]
    assert not repeats.too_often("a", "2", 10)
    assert not repeats.too_often("b", "1", 10)
    assert not repeats.too_often("c", "1", 10)
    assert len(repeats) == 2
    assert not repeats.too_often("a", "3", 10)
