"""What the mail desk does with a mail."""

import pytest

from common.errors import Unavailable
from rules import number
from services.intake.mail.policy import reference_hash
from services.intake.mail.repeats import SAME_TEXTS
from tests.unit.intake.fakes import SECRETS
from tests.unit.intake.mail.fakes import CUSTOMER, MailBench
from tests.unit.intake.mail.letters import (
    FROM,
    JPEG,
    PNG,
    ROTTEN,
    file_part,
    mail,
    multipart,
    plain,
    text_part,
    with_parts,
)

FIVE_PICTURES = with_parts(
    "Message-Id: <5@qq.com>",
    parts=multipart(
        "mixed", text_part(ROTTEN), *(file_part(JPEG + bytes([n]), "image/jpeg", name=f"{n}.jpg") for n in range(5))
    ),
)


async def test_a_mail_is_a_complaint_of_the_mail_channel() -> None:
    bench = MailBench()
    assert (
        await bench.take(mail("Message-Id: <1@qq.com>", "Date: Sun, 22 Nov 2026 20:00:01 +0800", plain(), body=ROTTEN))
        is None
    )
    sent = bench.taken().submission
    assert (sent.brand, sent.channel, sent.description, sent.contact) == ("default", "mail", ROTTEN, CUSTOMER)
    own = reference_hash(SECRETS.customer_ref, "1@qq.com")
    assert sent.channel_facts == (("message_id", own),)
    assert sent.mail_references == (own,)
    assert bench.taken().occurred_at.isoformat() == "2026-11-22T12:00:01+00:00"


async def test_the_same_mail_twice_is_one_complaint() -> None:
    bench = MailBench()
    for _ in range(3):
        assert await bench.take(mail("Message-Id: <1@qq.com>", plain(), body=ROTTEN)) is None
    assert len(bench.log.complaints) == 1


@pytest.mark.parametrize("headers", [["Message-Id: <1@qq.com>"], []], ids=["with a Message-Id", "without"])
async def test_the_same_mail_at_another_instance_is_the_same_record(headers: list[str]) -> None:
    bench = MailBench()
    raw = mail(*headers, plain(), body=ROTTEN)
    await bench.take(raw)
    await bench.take(raw, desk=bench.another_desk())
    first, second = bench.log.complaints
    assert first == second


async def test_the_same_mail_with_pictures_at_another_instance_is_the_same_complaint_though_its_uploads_are_not() -> (
    None
):
    bench = MailBench()
    await bench.take(FIVE_PICTURES)
    await bench.take(FIVE_PICTURES, desk=bench.another_desk())
    first, second = bench.log.complaints
    assert (first.ticket_id, first.fingerprint) == (second.ticket_id, second.fingerprint)
    assert first.submission.images != second.submission.images


async def test_another_text_under_the_same_message_id_is_another_complaint() -> None:
    bench = MailBench()
    for text in ("牛奶坏了", "鸡蛋也坏了"):
        assert await bench.take(mail("Message-Id: <constant@localhost>", plain(), body=text)) is None
    assert len({complaint.ticket_id for complaint in bench.log.complaints}) == 2


async def test_three_pictures_are_kept_and_the_others_named() -> None:
    bench = MailBench()
    await bench.take(FIVE_PICTURES)
    sent = bench.taken().submission
    assert [bench.images.kept[name] for name in sent.images] == [JPEG + bytes([n]) for n in range(3)]
    assert sent.description == ROTTEN + "\n\n（另有 2 个附件未收取：3.jpg、4.jpg）"


async def test_what_is_no_picture_is_named_and_takes_no_place() -> None:
    bench = MailBench()
    await bench.take(with_parts(parts=multipart(
        "mixed", text_part(ROTTEN), file_part(b"no picture", "image/png", name="x.png"),
        file_part(b"%PDF", "application/pdf", name="y.pdf"), file_part(PNG, "image/png", name="z.png"),
    )))  # fmt: skip
    sent = bench.taken().submission
    assert [bench.images.kept[name] for name in sent.images] == [PNG]
    assert sent.description == ROTTEN + "\n\n（另有 2 个附件未收取：x.png、y.pdf）"


async def test_a_mail_of_pictures_only_says_so() -> None:
    bench = MailBench()
    await bench.take(with_parts(parts=multipart("mixed", file_part(JPEG, "image/jpeg"))))
    assert bench.taken().submission.description == "（图片）"


async def test_a_mail_of_a_file_only_says_which() -> None:
    bench = MailBench()
    await bench.take(with_parts(parts=multipart("mixed", file_part(b"RIFF", "audio/wav", name="v.wav"))))
    assert bench.taken().submission.description == "（另有 1 个附件未收取：v.wav）"


async def test_pictures_that_cannot_be_kept_make_the_sender_try_again() -> None:
    bench = MailBench()
    bench.images.away = True
    with pytest.raises(Unavailable):
        await bench.take(FIVE_PICTURES)
    assert not bench.log.complaints
    await bench.take(mail(plain(), body=ROTTEN))
    assert bench.taken().submission.description == ROTTEN


async def test_a_log_that_is_away_makes_the_sender_try_again_and_the_retry_is_the_same_complaint() -> None:
    bench = MailBench()
    bench.log.away = True
    for _ in range(8):
        with pytest.raises(Unavailable):
            await bench.take(FIVE_PICTURES)
    bench.log.away = False
    assert await bench.take(FIVE_PICTURES) is None
    assert len(bench.log.complaints) == 1


async def test_a_robots_mail_opens_nothing() -> None:
    bench = MailBench()
    assert await bench.take(mail("Auto-Submitted: auto-replied", body="away")) == "auto_reply"
    assert not bench.log.complaints


async def test_the_null_sender_is_a_bounce_whatever_the_mail_says() -> None:
    bench = MailBench()
    assert await bench.take(mail(plain(), body=ROTTEN), sender="") == "bounce"


async def test_a_mail_that_says_nothing_opens_no_ticket() -> None:
    bench = MailBench()
    assert await bench.take(mail(plain(), body="\r\n \r\n")) == "empty"
    assert not bench.log.complaints


async def test_a_mail_to_two_brands_is_a_complaint_to_each() -> None:
    bench = MailBench()
    await bench.take(mail(plain(), body=ROTTEN), "complaint@xiaoxiang.example", "complaint+demo@xiaoxiang.example")
    assert [complaint.submission.brand for complaint in bench.log.complaints] == ["default", "demo"]
    assert len({complaint.ticket_id for complaint in bench.log.complaints}) == 2


async def test_a_mail_without_a_from_is_its_envelopes() -> None:
    bench = MailBench()
    await bench.take(b"Subject: x\r\n\r\n" + ROTTEN.encode(), sender="lisi@example.com")
    assert bench.taken().submission.contact == "lisi@example.com"


async def test_a_customer_is_who_he_is_however_he_writes_his_name() -> None:
    bench = MailBench()
    for sender in (FROM, "ZHANGSAN@QQ.COM", '"张, 三" <ZhangSan@qq.com>', "=?gb2312?B?1cUsyP0=?= <zhangsan@qq.com>"):
        await bench.take(mail(f"From: {sender}", f"Message-Id: <{len(sender)}@x>", plain(), body=ROTTEN))
    assert len(bench.log.complaints) == 4
    assert len({complaint.customer_ref for complaint in bench.log.complaints}) == 1


async def test_an_answer_names_its_ticket_and_what_it_answers() -> None:
    bench = MailBench()
    ticket = number.from_random(12345678901234567)
    threads = ["Message-Id: <c@x>", "In-Reply-To: <b@x>", "References: <a@x> <b@x>"]
    await bench.take(mail(f"Subject: Re: [{ticket.lower()}] 您的投诉", *threads, plain(), body="还没退款"))
    sent = bench.taken().submission
    assert sent.thread_ticket == ticket
    assert sent.description == "还没退款"
    assert sent.mail_references == tuple(reference_hash(SECRETS.customer_ref, each) for each in ("c@x", "b@x", "a@x"))


async def test_the_same_words_for_the_sixth_time_are_a_loop_and_the_first_five_are_heard() -> None:
    bench = MailBench()
    outcomes = [
        await bench.take(mail(f"Message-Id: <{number}@robot>", plain(), body="感谢您的来信"))
        for number in range(SAME_TEXTS + 2)
    ]
    assert outcomes == [None] * SAME_TEXTS + ["loop", "loop"]
    assert len(bench.log.complaints) == SAME_TEXTS
    assert await bench.take(mail("Message-Id: <1@robot>", plain(), body="感谢您的来信")) is None
    assert await bench.take(mail(plain(), body="另一件事：牛奶坏了")) is None


async def test_a_very_long_mail_is_kept_whole_up_to_a_bound_that_is_told() -> None:
    bench = MailBench()
    await bench.take(mail(plain(), body="牛奶坏了。" * 2000))
    await bench.take(mail(plain(), body="鸡蛋坏了。\n" * 20000))
    whole, cut = (complaint.submission.description for complaint in bench.log.complaints)
    assert whole == "牛奶坏了。" * 2000
    assert len(cut) < 50_100
    assert cut.endswith("（邮件过长，其余部分未收取）")
