"""sla.md, "Priority", and requirements.md, "Understanding and routing", on the default policies."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from common.policyfiles import load_brand
from rules.model import Category, ComplaintFacts, Metric, PolicySet, Priority, RoutingDecision, SlaCondition, SlaPolicy
from rules.promise import due, keep
from rules.routing import category_of, decide

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def default() -> PolicySet:
    return load_brand(Path(__file__).parents[3] / "policies" / "default")


def judged(
    policies: PolicySet, text: str, declared: str | None = "其他", late: timedelta | None = None
) -> RoutingDecision:
    return decide(policies, ComplaintFacts(declared, text, "default", "app", order_late=late))


@pytest.mark.parametrize(
    "text",
    [
        "三文鱼变质了",
        "三文魚變質了",
        "肉 里 有 虫",
        "吃出一根头发",
        "米里有小石子,里面有玻璃",
        "面包发霉长毛",
        "麵包發黴",
        "牛奶过期两天了",
        "保质期昨天已过,保质期已过",
        "孩子喝完一直吐,现在在急诊",
        "全家拉肚子,怀疑食物中毒",
        "鸡腿里面还是生的,带血",
        "有没有变质啊,感觉怪怪的",  # a question isn't a denial
        "是不是过期了",
        "Found a cockroach in my salad",
        "The chicken smelled rotten and we got food poisoning",
        "MILK EXPIRED two days ago",
        "There's a hair in the soup",
        "THERE ARE MAGGOTS",
    ],
)
@pytest.mark.parametrize("declared", ["商品质量", "价格", "客服态度", "其他", None])
def test_food_safety_words_take_the_red_channel_whatever_was_declared(
    default: PolicySet, text: str, declared: str | None
) -> None:
    decision = judged(default, text, declared)
    assert (decision.category, decision.priority, decision.red) == (Category.FOOD_SAFETY, Priority.URGENT, True)
    assert (decision.queue, decision.joint_queues) == ("quality_control", ("legal",))
    assert decision.urgent
    assert decision.evidence


@pytest.mark.parametrize(
    "text",
    [
        "没有变质,就是不太新鲜",
        "并没有过期,但是日期不新鲜",
        "优惠券过期了没法用",
        "優惠券已過期",
        "红包显示过期",
        "The coupon expired before I could use it",
        "I found a bug in the app",
        "今天真倒霉,送错了楼",
        "垃圾袋破了",
        "住院部3楼没人来送",
        "skyrat game mode",
        "吐槽一下页面太难用",
    ],
)
def test_denied_and_other_meanings_stay_out_of_the_red_channel(default: PolicySet, text: str) -> None:
    assert not judged(default, text).red


@pytest.mark.parametrize(
    "text",
    [
        "等了三个小时还没到",
        "等了3小时",
        "晚了两个多小时",
        "晚了两个半小时",
        "迟到150分钟",
        "超时2.5小时",
        "等咗三個鐘頭",
        "比说好的晚了两个多小时",
        "昨天中午下的单到现在还没送到",
        "等了一下午",
        "I've been waiting over 2 hours",
        "my order is 3 hours late",
        "two and a half hours late",
        "ordered yesterday and still nothing",
    ],
)
def test_more_than_two_hours_late_takes_the_red_channel(default: PolicySet, text: str) -> None:
    decision = judged(default, text, "配送")
    assert (decision.category, decision.priority, decision.red) == (Category.DELIVERY, Priority.URGENT, True)
    assert decision.queue == "logistics"


@pytest.mark.parametrize(
    "text",
    [
        "晚了2小时",
        "等了40分钟",
        "迟到半小时",
        "等了半天才送来",
        "退款等了三天还没到账",
        "客服等了3小时没人回复",
        "预计3小时送达现在还没送",
        "让我等等,今天是第12天",
        "支持7天无理由吗,等了半小时",
        "half an hour late",
        "waited 3 days for a refund",
    ],
)
def test_up_to_two_hours_or_waiting_for_something_else_is_not_that_late(default: PolicySet, text: str) -> None:
    assert not judged(default, text, "配送").red


@pytest.mark.parametrize(("late", "red"), [(2 * HOUR, False), (2 * HOUR + timedelta(seconds=1), True), (None, False)])
def test_an_order_known_to_be_more_than_two_hours_late_is_red(
    default: PolicySet, late: timedelta | None, red: bool
) -> None:
    assert judged(default, "请处理", "配送", late).red is red


def test_the_red_channel_tells_supervisor_and_emergency_rota_at_routing(default: PolicySet) -> None:
    for text in ("牛奶变质", "等了三个小时还没到"):
        (notice,) = judged(default, text).notices
        assert notice.notify == ("role:supervisor", "oncall:emergency")
    assert judged(default, "请处理").notices == ()


@pytest.mark.parametrize(
    ("declared", "priority", "queue"),
    [
        ("商品质量", Priority.HIGH, "quality_control"),
        ("配送", Priority.NORMAL, "logistics"),
        ("价格", Priority.NORMAL, "customer_service"),
        ("客服态度", Priority.NORMAL, "customer_service"),
        ("其他", Priority.NORMAL, "customer_service"),
        ("system", Priority.NORMAL, "technology"),
        ("promotion", Priority.NORMAL, "customer_service"),
        ("missing_or_wrong", Priority.NORMAL, "customer_service"),
        ("food_safety", Priority.URGENT, "quality_control"),
    ],
)
def test_the_declared_type_gives_priority_and_queue(
    default: PolicySet, declared: str, priority: Priority, queue: str
) -> None:
    decision = judged(default, "请处理", declared)
    assert (decision.priority, decision.queue) == (priority, queue)
    assert decision.category is category_of(default.routing, declared)


def test_a_type_nobody_knows_is_none_for_the_edge_and_other_for_the_table(default: PolicySet) -> None:
    assert category_of(default.routing, "质量") is None
    assert category_of(default.routing, None) is None
    assert judged(default, "请处理", "质量").category is Category.OTHER


@pytest.mark.parametrize(
    ("declared", "calm", "angry"),
    [
        ("商品质量", Priority.HIGH, Priority.URGENT),
        ("配送", Priority.NORMAL, Priority.HIGH),
        ("food_safety", Priority.URGENT, Priority.URGENT),
    ],
)
def test_anger_raises_by_one(default: PolicySet, declared: str, calm: Priority, angry: Priority) -> None:
    assert judged(default, "请处理", declared).priority is calm
    for text in ("气死我了", "我要打12315", "this is OUTRAGEOUS", "垃圾平台"):
        decision = judged(default, text, declared)
        assert (decision.angry, decision.priority) == (True, angry)


def test_anger_alone_is_urgent_in_priority_but_not_the_red_channel(default: PolicySet) -> None:
    decision = judged(default, "气死我了", "商品质量")
    assert (decision.priority, decision.red, decision.sla_policy) == (Priority.URGENT, False, "ordinary")


@pytest.mark.parametrize(
    "text", ["商家拒绝退款", "退款申请被驳回", "my refund was denied", "APP一直闪退", "the app crashed"]
)
def test_refund_disputes_and_system_failures_are_complex(default: PolicySet, text: str) -> None:
    decision = judged(default, text)
    assert (decision.complex, decision.sla_policy) == (True, "complex")
    assert decision.target(Metric.ASSIGNMENT) is not None


def test_rider_conduct_also_goes_to_the_training_group(default: PolicySet) -> None:
    decision = judged(default, "骑手态度恶劣", "客服态度")
    assert (decision.category, decision.queue) == (Category.SERVICE_ATTITUDE, "logistics")
    assert decision.joint_queues == ("logistics_training",)


def test_other_things_complained_of_are_secondary(default: PolicySet) -> None:
    decision = judged(default, "菜不新鲜,客服态度也差", "商品质量")
    assert decision.category is Category.PRODUCT_QUALITY
    assert Category.SERVICE_ATTITUDE in decision.secondary


def test_the_evidence_is_words_of_the_policy_never_the_customers_text(default: PolicySet) -> None:
    terms = {term for group in default.keywords.groups for term in group.terms}
    assert set(judged(default, "张三吃了半块吐了两次,奶已经坏了").evidence) <= terms


def test_the_same_complaint_is_judged_the_same_way(default: PolicySet) -> None:
    assert judged(default, "牛奶变质") == judged(default, "牛奶变质")


def test_the_first_policy_whose_conditions_match_wins(default: PolicySet) -> None:
    gold = SlaPolicy("gold", SlaCondition(red=True, tiers=("gold",)), default.sla[0].targets)
    with_gold = replace(default, sla=(gold, *default.sla))
    assert judged(with_gold, "牛奶变质").sla_policy == "red"
    facts = ComplaintFacts("其他", "牛奶变质", "default", "app", tier="gold")
    assert decide(with_gold, facts).sla_policy == "gold"


def test_a_deadline_is_the_earlier_of_what_was_promised_and_the_target(default: PolicySet) -> None:
    target = judged(default, "请处理").target(Metric.RESOLUTION)
    assert target is not None
    start = datetime(2026, 3, 1, 23, 50, tzinfo=UTC)
    sooner, later = start + 24 * HOUR, start + 72 * HOUR
    assert due(keep(target, default.calendars, start, sooner), default.calendars, start) == sooner
    assert keep(target, default.calendars, start, later) == target
    assert keep(target, default.calendars, start, None) == target


@pytest.mark.parametrize(
    "text", ["", " ", "。", "a" * 20_000, "等" * 20_000, "9" * 20_000, "\u200b\ufeff", "没" * 5000]
)
def test_any_text_is_judged(default: PolicySet, text: str) -> None:
    assert judged(default, text).sla_policy == "ordinary"
