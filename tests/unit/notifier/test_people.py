"""The people of a level, found when it fires."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from common.policyfiles import load_all
from deploy.local.settings import ROOT
from rules.model import Calendar, EscalationLevel, Metric, Priority, TimeRange
from rules.staff import Person, Queue, Record, Rota, Shift, Staff, staff_of
from services.notifier.model import Escalated, Event, Notification, Opened, TicketFacts
from services.notifier.people import NOBODY, Place, resolve
from services.notifier.policy import plan

# A Friday noon in China.
AT = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
TICKET = "7K3M-9QXZ-4TPC-5"
MORNING = Calendar("morning", weekly=((TimeRange(6 * 60, 14 * 60),),) * 7)
EVENING = Calendar("evening", weekly=((TimeRange(14 * 60, 22 * 60),),) * 7)
PLACE = Place("default", "quality_control", "li")

LI = Person("li", queues=("quality_control",))
ZHAO = Person("zhao", role="supervisor")
QIAN = Person("qian")
LIN = Person("lin", role="supervisor", working_hours="morning")
WU = Person("wu", role="supervisor", working_hours="evening")
RECORDS: tuple[Record, ...] = (
    LI,
    ZHAO,
    QIAN,
    LIN,
    WU,
    Queue("default", "quality_control", leads=("zhao",), joint_with=("legal",)),
    Queue("default", "legal", leads=("qian",)),
    Rota("default", "emergency", (Shift("wu", AT, AT + timedelta(hours=12)),)),
)
STAFF = staff_of(RECORDS)


def calendars(brand: str, name: str) -> Calendar | None:
    return {"morning": MORNING, "evening": EVENING}.get(name)


def found(*notify: str, place: Place = PLACE, staff: Staff = STAFF, at: datetime = AT) -> list[str]:
    return list(resolve(notify, place, staff, calendars, at))


def without(*keys: str) -> Staff:
    return staff_of(record for record in RECORDS if record.key not in keys)


def level(notify: tuple[str, ...], number: int = 1, at: datetime = AT) -> Escalated:
    return Escalated(
        cause=f"e1-{number}",
        at=at,
        ticket_id=TICKET,
        brand="default",
        metric="first_response",
        level=number,
        notify=notify,
        ways=("console", "robot", "sms"),
        breached_at=AT,
        priority="urgent",
        queue="quality_control",
        assignee="li",
        red=True,
        returned=0,
    )


def told(owed: tuple[Notification, ...]) -> list[str]:
    return [notification.recipient for notification in owed]


def test_zammad_2532_each_level_tells_its_own_people() -> None:
    """Reported: one list of people serves the first and every later escalation. Here each level of the shipped policy
    reaches the people it names, and nobody of the other level but those it names too."""
    policies = load_all(ROOT / "policies")["default"]
    red = next(policy for policy in policies.sla if policy.name == "red")
    target = next(t for t in red.targets[Priority.URGENT] if t.metric is Metric.FIRST_RESPONSE)

    def of(step: EscalationLevel) -> list[str]:
        return told(plan(level(step.notify, step.level), STAFF, calendars))

    first, second = map(of, target.chain)
    assert first == ["person:li", "person:zhao", "person:qian"]
    assert second == ["person:lin", "person:zhao", "person:wu"]


def test_the_people_are_those_of_the_moment_the_level_fires() -> None:
    assert found("role:supervisor") == ["person:lin", "person:zhao"]
    evening = AT + timedelta(hours=3)
    assert found("role:supervisor", at=evening) == ["person:wu", "person:zhao"]
    promoted = staff_of([*RECORDS, replace(QIAN, role="supervisor", version=1)])
    assert "person:qian" in found("role:supervisor", staff=promoted)


def test_if_no_supervisor_is_at_work_all_are_told() -> None:
    night = AT + timedelta(hours=12)
    staff = without("person/zhao")
    assert found("role:supervisor", staff=staff, at=night) == ["person:lin", "person:wu"]


def test_supervisors_of_another_brand_arent_told() -> None:
    elsewhere = staff_of([replace(ZHAO, brands=("demo",)), replace(LIN, brands=("default", "demo"))])
    assert found("role:supervisor", staff=elsewhere) == ["person:lin"]


def test_the_lead_of_the_queue_and_those_of_its_joint_queues_are_told() -> None:
    assert found("queue_lead") == ["person:zhao", "person:qian"]
    assert found("queue_lead", place=replace(PLACE, joint_queues=())) == ["person:zhao"]


def test_on_call_is_who_is_on_shift_whatever_his_hours() -> None:
    assert found("oncall:emergency") == ["person:wu"]


def test_one_message_per_person_and_level_though_several_words_mean_him() -> None:
    words = ("assignee", "queue_lead", "role:supervisor", "oncall:emergency")
    same = staff_of([*RECORDS, Rota("default", "emergency", (Shift("zhao", AT, AT + timedelta(hours=1)),), 1)])
    owed = plan(level(words), same, calendars)
    assert told(owed) == ["person:li", "person:zhao", "person:qian", "person:lin"]
    assert len({notification.id for notification in owed}) == 4


def test_what_means_nobody_stays_a_word_so_that_nothing_is_silent() -> None:
    words = ("assignee", "queue_lead", "role:supervisor", "oncall:emergency")
    assert found(*words, staff=NOBODY) == [
        "agent:li",
        "queue_lead:quality_control",
        "role:supervisor",
        "oncall:emergency",
    ]
    # The shift is over; the lead has left; the joint queue's lead was never named.
    assert found("oncall:emergency", at=AT + timedelta(hours=12)) == ["oncall:emergency"]
    gone = staff_of([*RECORDS, replace(ZHAO, removed=True, version=1)])
    assert found("queue_lead", staff=gone) == ["queue_lead:quality_control", "person:qian"]
    assert found("queue_lead", staff=without("queue/default/legal")) == ["person:zhao", "queue_lead:legal"]


def test_somebody_away_on_a_shift_is_told_only_if_he_is_alone_on_it() -> None:
    away = replace(WU, away=True, version=1)
    assert found("oncall:emergency", staff=staff_of([*RECORDS, away])) == ["person:wu"]
    both = Rota(
        "default", "emergency", (Shift("wu", AT, AT + timedelta(hours=1)), Shift("lin", AT, AT + timedelta(1))), 1
    )
    assert found("oncall:emergency", staff=staff_of([*RECORDS, away, both])) == ["person:lin"]


def test_a_level_without_anybody_tells_the_supervisors_as_people() -> None:
    nobody = replace(level(("assignee",)), assignee="")
    assert told(plan(nobody, STAFF, calendars)) == ["person:lin", "person:zhao"]


def test_a_repeat_later_owes_the_same_messages() -> None:
    event = level(("role:supervisor", "oncall:emergency"))
    assert plan(event, STAFF, calendars) == plan(event, STAFF, calendars)
    assert told(plan(event, STAFF, calendars)) == ["person:lin", "person:zhao", "person:wu"]


def test_food_safety_informs_the_lead_of_the_joint_queue_at_routing() -> None:
    ticket = TicketFacts(
        id=TICKET,
        brand="default",
        locale="zh-CN",
        category="food_safety",
        priority="urgent",
        queue="quality_control",
        joint_queues=("legal",),
        assignee="",
        red=True,
        first_response_by=AT + timedelta(minutes=10),
        resolve_by=None,
        notices=("role:supervisor", "oncall:emergency"),
    )
    owed = [each for each in plan(Opened("c1", AT, ticket), STAFF, calendars) if each.event is Event.NOTICE]
    assert told(tuple(owed)) == ["person:lin", "person:zhao", "person:wu", "person:qian"]
