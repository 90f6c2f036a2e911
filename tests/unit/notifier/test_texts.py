"""What messages say, and which templates are refused."""

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Invalid, Poison
from common.policyfiles import load_all
from rules.model import PolicySet
from services.notifier.labels import CATEGORIES, DELAY_REASONS, DIMENSIONS, LABELS, LOCALES, METRICS, PRIORITIES
from services.notifier.model import (
    Amount,
    Compensated,
    Escalated,
    Event,
    Granted,
    Notification,
    Opened,
    TicketFacts,
    Way,
)
from services.notifier.policy import plan, sms_segments
from services.notifier.samples import samples
from services.notifier.templates import Templates, TemplatesError, load_templates
from services.notifier.texts import ALLOWED, best_locale, clock, money, speaker, values

ROOT = Path(__file__).resolve().parents[3] / "policies"
SHANGHAI = ZoneInfo("Asia/Shanghai")
# 12:00 in Shanghai.
NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
NUMBER = "7K3M-9QXZ-4TPC-5"


@pytest.fixture(scope="module")
def policies() -> Mapping[str, PolicySet]:
    return load_all(ROOT)


@pytest.fixture(scope="module")
def templates(policies: Mapping[str, PolicySet]) -> Templates:
    return load_templates(ROOT, policies)


def opened(category: str = "price", red: bool = False, brand: str = "default") -> Notification:
    ticket = TicketFacts(
        id=NUMBER,
        brand=brand,
        locale="zh-CN",
        category=category,
        priority="urgent" if red else "normal",
        queue="quality_control",
        joint_queues=("legal",),
        assignee="",
        red=red,
        first_response_by=NOW + timedelta(minutes=10),
        resolve_by=NOW + timedelta(hours=48),
        notices=(),
    )
    return plan(Opened("c1", NOW, ticket))[-1]


def test_the_confirmation_says_number_and_promise_on_the_brands_clock_in_its_name(templates: Templates) -> None:
    text = templates.write(opened(), Way.SMS, "zh-CN", NOW, "")
    assert text == (
        "【小象买菜】很抱歉给您带来不便。您的投诉（工单 7K3M-9QXZ-4TPC-5）已收到，我们将在 12:10 前首次回复，"
        "并于 11月25日 12:00 前处理完毕，请保持电话畅通。感谢您告诉我们。"
    )


def test_the_confirmation_in_english(templates: Templates) -> None:
    text = templates.write(opened(), Way.MAIL, "en", NOW, "")
    assert text == (
        "[Xiaoxiang Grocer] We are sorry for the trouble. We have received your complaint (ticket 7K3M-9QXZ-4TPC-5). "
        "You will hear from us by 12:10, and we will settle it by 25 Nov 12:00. Please watch your inbox. "
        "Thank you for telling us."
    )


def test_food_safety_is_told_to_see_a_doctor_and_keep_the_product(templates: Templates) -> None:
    food = templates.write(opened("food_safety", red=True), Way.SMS, "zh-CN", NOW, "")
    assert "非常抱歉" in food
    assert "请及时就医；请保留商品、包装和照片" in food
    late = templates.write(opened("delivery", red=True), Way.SMS, "zh-CN", NOW, "")
    assert "紧急" in late
    assert "就医" not in late


def test_a_promise_that_has_passed_is_not_made(templates: Templates) -> None:
    text = templates.write(opened(), Way.SMS, "zh-CN", NOW + timedelta(minutes=10), "")
    assert "首次回复" not in text
    assert "将于 11月25日 12:00 前处理完毕" in text


def test_the_desks_words_arrive_as_they_were_written(templates: Templates) -> None:
    reply = Notification(id="n", event=Event.REPLY, ticket_id=NUMBER, brand="default", recipient="customer", at=NOW,
                         facts={"red": False, "category": "price"}, message_id="m1")  # fmt: skip
    text = templates.write(reply, Way.SMS, "zh-CN", NOW, "您好！\n  差价 {{ 5 }} 元 <已退>。")
    assert text.endswith("客服回复：您好！\n  差价 {{ 5 }} 元 <已退>。")


def test_the_voucher_says_why_and_how_much(templates: Templates) -> None:
    [voucher] = plan(Compensated("v1", NOW, NUMBER, "default", Amount("CNY", 1000), "red_first_response"))
    chinese = templates.write(voucher, Way.SMS, "zh-CN", NOW, "")
    assert "¥10 优惠券" in chinese
    assert NUMBER in chinese
    assert "voucher of ¥10." in templates.write(voucher, Way.SMS, "en", NOW, "")


@pytest.mark.parametrize("brand", ["default", "demo"])
def test_points_are_told_with_what_they_are_for_and_nothing_more(templates: Templates, brand: str) -> None:
    def said(reason: str, locale: str) -> str:
        [points] = plan(Granted("g1", NOW, NUMBER, brand, 50, reason))
        return templates.write(points, Way.SMS, locale, NOW, "").partition("】" if locale != "en" else "] ")[2]

    assert said("satisfied", "zh-CN") == f"感谢您对工单 {NUMBER} 的评价，送您 50 积分。"
    assert said("suggestion", "zh-CN") == f"感谢您的建议（工单 {NUMBER}），我们已经采纳，送您 50 积分。"
    assert said("suggestion", "zh-TW") == f"感謝您的建議（工單 {NUMBER}），我們已經採納，送您 50 點積分。"
    assert said("satisfied", "en") == f"Thank you for your rating of ticket {NUMBER}. You receive 50 points."
    assert said("something_new", "en") == "Thank you for your support. You receive 50 points."


@pytest.mark.parametrize("locale", LOCALES)
def test_a_message_about_points_is_one_sms(templates: Templates, locale: str) -> None:
    for notification, _ in samples()[Event.POINTS]:
        assert sms_segments(templates.write(notification, Way.SMS, locale, NOW, "")) == 1


def test_an_escalation_says_what_was_missed_when_and_where(templates: Templates) -> None:
    event = Escalated(
        cause="e",
        at=NOW,
        ticket_id=NUMBER,
        brand="default",
        metric="first_response",
        level=2,
        notify=("role:supervisor",),
        ways=("robot",),
        breached_at=NOW - timedelta(minutes=5),
        priority="urgent",
        queue="quality_control",
        assignee="",
        red=True,
        returned=0,
    )
    [owed] = plan(event)
    assert templates.write(owed, Way.ROBOT, "zh-CN", NOW, "") == (
        "【小象买菜】【升级 第 2 级】红色通道工单 7K3M-9QXZ-4TPC-5 的“首次回复”承诺已于 11:55 逾期"
        "（优先级：紧急，质检部）。请立即处理，并在控制台确认此升级。"
    )


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("brand", ["default", "demo"])
def test_every_template_prints_every_message_in_every_brand(templates: Templates, brand: str, locale: str) -> None:
    for event, messages in samples().items():
        for notification, text in messages:
            for way in Way:
                printed = templates.write(
                    Notification(**{**vars(notification), "brand": brand}), way, locale, NOW, text
                )
                assert len(printed) > 20
                assert "\n" not in printed, (event, printed)
                assert "  " not in printed, (event, printed)
                assert ("。，" in printed, "，。" in printed, "。。" in printed) == (False, False, False), printed


@pytest.mark.parametrize("locale", ["zh-CN", "zh-TW"])
def test_no_traditional_text_has_simplified_signs_and_the_reverse(templates: Templates, locale: str) -> None:
    other = set("诉单处复紧专贵给们为补偿请谅优级") if locale == "zh-TW" else set("訴單處複覆緊專貴給們為補償請諒優級")
    for messages in samples().values():
        for notification, _ in messages:
            printed = templates.write(notification, Way.SMS, locale, NOW, "")
            assert not other & set(printed), printed


def test_what_a_template_may_print_is_what_messages_have(policies: Mapping[str, PolicySet]) -> None:
    for event, messages in samples().items():
        for notification, text in messages:
            found = values(notification, speaker(policies["default"]), Way.SMS, "zh-CN", NOW, text)
            assert set(found) == set(ALLOWED[event]), event


def test_an_unknown_brand_is_poison(templates: Templates) -> None:
    with pytest.raises(Poison, match="unknown_brand"):
        templates.locale("nobody", "zh-CN")
    with pytest.raises(Poison, match="unknown_brand"):
        templates.write(opened(brand="nobody"), Way.SMS, "zh-CN", NOW, "")


def test_every_label_is_there_in_every_language() -> None:
    for labels in (METRICS, CATEGORIES, PRIORITIES, DIMENSIONS, DELAY_REASONS):
        assert {locale: set(words) for locale, words in labels.items()} == {
            locale: set(labels["zh-CN"]) for locale in LOCALES
        }
    assert set(LABELS) == {"metric", "category", "priority", "dimension", "delay_reason"}


# --- refused at load ---


def refused(tmp_path: Path, name: str, content: str) -> str:
    folder = tmp_path / "policies"
    shutil.copytree(ROOT, folder)
    path = folder / "default" / "templates" / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TemplatesError) as caught:
        load_templates(folder, load_all(folder))
    return str(caught.value).replace(str(path), name)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("一\n{{ numbr }}", "confirmation.zh-CN.j2:2: unknown variable numbr: expected one of signature"),
        ("一\n{% if red and false %}\n{{ secret }}{% endif %}", "confirmation.zh-CN.j2:3: unknown variable secret"),
        ("{{ number|shout }}", "confirmation.zh-CN.j2:1: unknown filter shout"),
        ("{% if red %}\n{{ number|map('x') }}{% endif %}", "confirmation.zh-CN.j2:2: unknown filter map"),
        ("一\n{{ number.__class__ }}", "confirmation.zh-CN.j2:2: reaches into a value (__class__)"),
        ("{{ number['__class__'] }}", "confirmation.zh-CN.j2:1: reaches into a value"),
        ("{{ number|attr('__class__') }}", "confirmation.zh-CN.j2:1: unknown filter attr"),
        ("{{ number.format() }}", "confirmation.zh-CN.j2:1: call isn't allowed here"),
        ("{% for x in number %}{{ number }}{% endfor %}", "confirmation.zh-CN.j2:1: for isn't allowed here"),
        ("{% include '/etc/passwd' %}", "confirmation.zh-CN.j2:1: include isn't allowed here"),
        ("{{ 'a' * 1000000000 }}", "confirmation.zh-CN.j2:1: mul isn't allowed here"),
        ("一\n二\n{% if red %}", "confirmation.zh-CN.j2:3: Unexpected end of template"),
        ("{{ }}", "confirmation.zh-CN.j2:1: Expected an expression"),
        ("一\n{{ number|replace(1) }}", "confirmation.zh-CN.j2:2: "),
        ("{% if false %}x{% endif %}", "confirmation.zh-CN.j2:1: prints nothing for a sample message"),
    ],
)
def test_a_wrong_template_is_refused_with_file_and_line(tmp_path: Path, content: str, problem: str) -> None:
    assert problem in refused(tmp_path, "confirmation.zh-CN.j2", content)


def test_a_variable_of_another_event_is_refused(tmp_path: Path) -> None:
    assert "voucher.en.j2:1: unknown variable resolution" in refused(tmp_path, "voucher.en.j2", "{{ resolution }}")


def test_a_template_with_a_wrong_name_is_refused(tmp_path: Path) -> None:
    assert "confirmation.fr.j2:1: expected <event>.<locale>.j2" in refused(tmp_path, "confirmation.fr.j2", "Bonjour")


def test_bytes_that_arent_utf8_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(ROOT, folder)
    (folder / "default" / "templates" / "reply.en.j2").write_bytes("回复".encode("gb18030"))
    with pytest.raises(TemplatesError, match=r"reply\.en\.j2:1: expected UTF-8"):
        load_templates(folder, load_all(folder))


def test_a_missing_template_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(ROOT, folder)
    (folder / "default" / "templates" / "voucher.zh-TW.j2").unlink()
    with pytest.raises(TemplatesError, match=r"demo/templates/voucher\.zh-TW\.j2:1: expected this file"):
        load_templates(folder, load_all(folder))


def test_a_brand_speaks_with_its_own_template_where_it_has_one(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(ROOT, folder)
    own = folder / "demo" / "templates"
    own.mkdir(exist_ok=True)
    (own / "reply.en.j2").write_text("Demo says: {{ text }}")
    templates = load_templates(folder, load_all(folder))
    [reply, *_] = [n for n, _ in samples()[Event.REPLY]]
    demo = Notification(**{**vars(reply), "brand": "demo"})
    assert templates.write(demo, Way.SMS, "en", NOW, "hello") == "Demo says: hello"
    assert templates.write(reply, Way.SMS, "en", NOW, "hello").startswith("[Xiaoxiang Grocer]")


# --- previews ---


def test_a_preview_shows_given_values_and_samples_elsewhere(templates: Templates) -> None:
    text = templates.preview("default", Event.VOUCHER, Way.SMS, "zh-CN", {}, {"amount": "¥88"})
    assert "¥88 优惠券" in text
    text = templates.preview("default", Event.CONFIRMATION, Way.MAIL, "", {"category": "delivery", "red": True}, {})
    assert "就医" not in text
    assert "邮件" in text


def test_a_preview_names_what_is_wrong(templates: Templates) -> None:
    with pytest.raises(Invalid, match="brand"):
        templates.preview("nobody", Event.VOUCHER, Way.SMS, "en", {}, {})
    with pytest.raises(Invalid, match=r"values\.amuont"):
        templates.preview("default", Event.VOUCHER, Way.SMS, "en", {}, {"amuont": "1"})


# --- times and money ---


@pytest.mark.parametrize(
    ("instant", "locale", "said"),
    [
        (NOW + timedelta(minutes=10), "zh-CN", "12:10"),
        (NOW + timedelta(minutes=10, seconds=1), "zh-CN", "12:11"),
        (NOW + timedelta(hours=11, minutes=59, seconds=59), "zh-CN", "11月24日 00:00"),
        (NOW + timedelta(hours=24), "en", "24 Nov 12:00"),
        (NOW + timedelta(days=60), "zh-CN", "2027年1月22日 12:00"),
        (NOW + timedelta(days=60), "en", "22 Jan 2027 12:00"),
        (NOW + timedelta(seconds=3), "zh-CN", "12:00:03"),
        (NOW + timedelta(seconds=2, milliseconds=1), "en", "12:00:03"),
    ],
)
def test_times_on_the_brands_clock(instant: datetime, locale: str, said: str) -> None:
    assert clock(instant, SHANGHAI, locale, NOW) == said


def test_what_has_happened_is_rounded_down() -> None:
    assert clock(NOW - timedelta(minutes=5, seconds=1), SHANGHAI, "zh-CN", NOW, promise=False) == "11:54"


@given(st.integers(0, 86_000_000_000))
def test_a_promise_is_never_told_earlier_than_it_is_kept(micros: int) -> None:
    by = NOW + timedelta(microseconds=micros)
    said = clock(by, ZoneInfo("UTC"), "en", NOW).split()[-1].split(":")
    seconds = int(said[0]) * 3600 + int(said[1]) * 60 + (int(said[2]) if len(said) == 3 else 0)
    told = (timedelta(seconds=seconds) - timedelta(hours=4)) % timedelta(days=1)
    assert timedelta(0) <= told - timedelta(microseconds=micros) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (Amount("CNY", 1000), "¥10"),
        (Amount("CNY", 550), "¥5.50"),
        (Amount("CNY", 1), "¥0.01"),
        (Amount("JPY", 500), "JPY 500"),
        (Amount("GBP", 320), "GBP 3.20"),
    ],
)
def test_money_is_told_with_cents_only_where_there_are_any(amount: Amount, said: str) -> None:
    assert money(amount) == said


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("zh-CN", "zh-CN"),
        ("zh-TW", "zh-TW"),
        ("zh-Hant-HK", "zh-TW"),
        ("zh", "zh-CN"),
        ("en-GB", "en"),
        ("", "zh-TW"),
        ("fr", "zh-TW"),
    ],
)
def test_the_nearest_language_we_write(wanted: str, found: str) -> None:
    assert best_locale(wanted, "zh-TW") == found
