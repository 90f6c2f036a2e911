"""When a machine answers a customer, and what it says."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from rules.answers import Answers, AnswerTopic
from rules.model import RoutingDecision
from rules.routing import decide
from rules.words import Category, Priority, Status
from services.router.answering import (
    Nearness,
    OrderNews,
    answer_text,
    calls_person,
    known,
    locale_of,
    may_answer,
    needs_order,
    topic_of,
)
from services.router.model import ANSWERS, ROUTER, Actor, ActorKind, Message, Ticket, Understanding
from services.router.reading import Reader
from services.router.retrieval import Retrieval
from services.router.understanding import facts_of
from tests.fakes_router import START, complaint, policies
from tests.unit.router.behaviour import opened

DEFAULT = policies()["default"]
READER = Reader()
NEAREST = Retrieval(DEFAULT.answers)
AGENT, CUSTOMER = Actor(ActorKind.AGENT, "li"), Actor(ActorKind.CUSTOMER)
PLACE = "where-is-my-order"
LATER = START + timedelta(minutes=40)


def ticket(text: str = "菜送错了") -> Ticket:
    return opened(complaint(1, text)).ticket


def understood(text: str, category: Category | None = None) -> tuple[Understanding, RoutingDecision]:
    found = READER.read(DEFAULT, text, category, "app")
    return found, decide(DEFAULT, facts_of(found, text, "default", "app", category))


def asked(text: str, answers: Answers = DEFAULT.answers) -> str:
    """The topic that is answered, "" for none."""
    topic = topic_of(answers, Retrieval(answers).nearest(text), *understood(text))
    return topic.name if topic else ""


def topic(name: str) -> AnswerTopic:
    return next(each for each in DEFAULT.answers.topics if each.name == name)


# --- whether


def said(actor: Actor, public: bool = True) -> Callable[[Ticket], Ticket]:
    return lambda t: replace(t, messages=(Message("m", START, actor, None, public=public),))


@pytest.mark.parametrize(
    ("why", "change", "may"),
    [
        ("nobody has answered", lambda t: t, True),
        ("a person works on it", lambda t: replace(t, status=Status.IN_PROGRESS, assignee="li"), True),
        ("only the customer has said more", said(CUSTOMER), True),
        ("colleagues have made a note", said(AGENT, public=False), True),
        ("a person has answered", said(AGENT), False),
        ("a machine has answered", said(ANSWERS), False),
        ("Pingxi has told the customer something", said(ROUTER), False),
        ("it was answered, and the answer is erased", lambda t: replace(t, answered_topic=PLACE), False),
        ("the customer was handed over", lambda t: replace(t, handed_over=True), False),
        ("the red channel", lambda t: replace(t, red=True), False),
        ("urgent", lambda t: replace(t, priority=Priority.URGENT), False),
        ("the desk waits for the customer", lambda t: replace(t, status=Status.PENDING), False),
        ("resolved", lambda t: replace(t, status=Status.RESOLVED), False),
        ("closed", lambda t: replace(t, status=Status.CLOSED), False),
    ],
)
def test_a_machine_speaks_first_or_never(why: str, change: Callable[[Ticket], Ticket], may: bool) -> None:
    assert may_answer(change(ticket())) is may, why


# --- what


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("请问我的外卖现在到哪里了", PLACE),
        ("請問外送員現在到哪裡了？", PLACE),
        ("Hello, where is my order?", PLACE),
        ("能帮我看下这单为什么还没人接吗", "delay"),
        ("缺貨的話會換別的品項嗎", "out-of-stock"),
        ("水果不甜可以退吗", "how-to-refund"),
        ("请问退款大概几天到账？", "when-is-the-refund"),
        ("问一下 抬头开个人可以吗", "invoice"),
    ],
)
def test_a_question_is_answered_by_its_topic_in_any_script(text: str, name: str) -> None:
    assert asked(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "想改一下收货地址，还来得及吗",
        "积分多久过期",
        "里面含花生吗，我孩子过敏",
        "菜送错了，少了一袋米",
        "我的退款还没到账",
        "发票还没收到，这是第三次问",
        "",
        "？？？",
        "😀",
    ],
)
def test_what_isnt_clearly_one_simple_question_is_left_to_people(text: str) -> None:
    assert asked(text) == ""


NEAR = Nearness(PLACE, 0.9, 0.1)


def test_too_far_from_a_topic_or_too_near_to_another_isnt_clear() -> None:
    found, decision = understood("where is my order")
    rules = DEFAULT.answers
    assert topic_of(rules, NEAR, found, decision) is not None
    assert topic_of(rules, replace(NEAR, score=rules.threshold - 0.01), found, decision) is None
    assert topic_of(rules, replace(NEAR, next=NEAR.score - rules.margin + 0.01), found, decision) is None
    assert topic_of(rules, replace(NEAR, topic=""), found, decision) is None
    assert topic_of(replace(rules, enabled=False), NEAR, found, decision) is None


def test_nobody_angry_and_nothing_urgent_gets_a_machines_answer() -> None:
    found, decision = understood("where is my order")
    for words in (replace(found, angry=True), replace(found, urgent=True)):
        assert topic_of(DEFAULT.answers, NEAR, words, decision) is None
    for outcome in (replace(decision, red=True), replace(decision, angry=True)):
        assert topic_of(DEFAULT.answers, NEAR, found, outcome) is None


def test_a_complaint_gets_a_first_word_only_where_the_policy_says_so() -> None:
    found, decision = understood("where is my order")
    found, decision = replace(found, intent="complaint"), replace(decision, category=Category.DELIVERY)
    assert topic_of(DEFAULT.answers, NEAR, found, decision) is None
    first = replace(topic(PLACE), first_word_for=(Category.DELIVERY,))
    allowing = replace(DEFAULT.answers, topics=(first,))
    assert topic_of(allowing, NEAR, found, decision) == first
    assert topic_of(allowing, NEAR, found, replace(decision, category=Category.PRICE)) is None


def test_a_topic_may_ask_for_an_intent_and_a_category() -> None:
    found, decision = understood("where is my order")
    found, decision = replace(found, intent="follow_up"), replace(decision, category=Category.DELIVERY)
    for change, answered in (
        ({"intents": ("follow_up",)}, True),
        ({"intents": ("question",)}, False),
        ({"categories": (Category.DELIVERY,)}, True),
        ({"categories": (Category.PRICE,)}, False),
    ):
        rules = replace(DEFAULT.answers, topics=(replace(topic(PLACE), **change),))
        assert (topic_of(rules, NEAR, found, decision) is not None) is answered, change


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("人工", True),
        ("轉人工！", True),
        ("AGENT", True),
        ("I want a human please", True),
        ("还没到", False),
        ("", False),
        ("你们的人工智能客服说今天会把少的那一份补送过来结果还是没来", False),
    ],
)
def test_the_word_for_a_person_is_understood_in_a_short_text(text: str, called: bool) -> None:
    assert calls_person(DEFAULT.answers, text) is called


# --- in which words

ORDER = OrderNews("picked_up", "c-1", START + timedelta(minutes=30), START + timedelta(minutes=45))


def spoken(name: str, order: OrderNews | None, locale: str = "zh-CN", customer: str = "c-1") -> str:
    values = known(order, customer, locale, "Asia/Shanghai", START)
    return answer_text(DEFAULT.answers, topic(name), values, locale)


@pytest.mark.parametrize(
    ("order", "text"),
    [
        (ORDER, "您的订单已取货,正在配送,预计11-20 12:45送达。回复“人工”转人工客服。"),
        (replace(ORDER, eta=START), "您的订单已取货,正在配送,原定送达时间为11-20 12:30。回复“人工”转人工客服。"),
        (replace(ORDER, eta=None, promised_at=None), "您的订单已取货,正在配送。回复“人工”转人工客服。"),
        (replace(ORDER, state="delivered"), "您的订单已送达。回复“人工”转人工客服。"),
        (replace(ORDER, state="cancelled"), "您的订单已取消。回复“人工”转人工客服。"),
        (None, "您可以在“我的订单”里查看订单的实时位置和预计送达时间。回复“人工”转人工客服。"),
    ],
)
def test_the_fullest_form_is_said_of_which_everything_is_known(order: OrderNews | None, text: str) -> None:
    assert spoken(PLACE, order) == text


def test_of_an_order_that_isnt_his_a_customer_is_told_nothing() -> None:
    general = spoken(PLACE, None)
    assert spoken(PLACE, ORDER, customer="c-2") == general
    assert spoken(PLACE, replace(ORDER, customer_id=""), customer="") == general


def test_the_answer_is_in_the_customers_language() -> None:
    assert spoken(PLACE, ORDER, "zh-HK") == "您的訂單已取貨,正在配送,預計11-20 12:45送達。回覆「人工」轉真人客服。"
    assert spoken(PLACE, ORDER, "en-GB").startswith(
        "Your order is on its way. It is expected at 11-20 12:45. Reply AGENT"
    )
    brand = DEFAULT.brand
    assert locale_of(replace(ticket(), locale="zh-TW"), brand, "where is it") == "zh-TW"
    assert locale_of(replace(ticket(), locale=""), brand, "where is it") == "en"
    assert locale_of(replace(ticket(), locale=""), brand, "到哪了") == "zh-CN"


@pytest.mark.parametrize("brand", ["default", "demo"])
def test_every_answer_of_the_shipped_policies_says_the_way_to_a_person_in_each_language(brand: str) -> None:
    rules = policies()[brand].answers
    assert rules.enabled
    for each in rules.topics:
        for locale, word in (("zh-CN", "人工"), ("zh-TW", "人工"), ("en", "AGENT")):
            text = answer_text(rules, each, {}, locale)
            assert text.endswith(rules.hand_over[locale] if rules.hand_over else "")
            assert word in text
            assert calls_person(rules, word)


def test_orders_are_asked_for_only_where_the_answer_says_something_of_them() -> None:
    names = {each.name for each in DEFAULT.answers.topics if needs_order(each)}
    assert names == {PLACE, "delay"}


def test_without_examples_nothing_is_near() -> None:
    assert Retrieval(Answers()).nearest("到哪了") == Nearness("", 0.0, 0.0)


def test_an_example_is_nearest_to_its_own_topic() -> None:
    for each in DEFAULT.answers.topics:
        for example in each.examples:
            found = NEAREST.nearest(example)
            assert (found.topic, round(found.score, 6)) == (each.name, 1.0), example
