"""The life of policies: what is in force, who may change it, and which tickets it moves."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from common import metrics
from common.clock import ManualClock
from common.errors import Conflict, Invalid, NotFound, StaleVersion, Unavailable
from common.policyfolder import PolicyFolder
from gen.pingxi.v1.policy_pb2 import PolicyVersion
from gen.pingxi.v1.ticket_pb2 import TicketEvent
from rules.model import ComplaintFacts, PolicySet
from rules.routing import decide
from rules.words import Category, Metric, Status
from services.router.book import PolicyBook
from services.router.model import Actor, ActorKind, Ticket, Update
from services.router.policy import open_ticket
from services.router.policy_life import PolicyLife
from services.router.relay import Relay
from services.router.versions import Version
from tests.fakes_policies import SUPERVISOR, FakeVersions, behaves, edit, policies_copy
from tests.fakes_router import START, FakeLog, FakeTickets, complaint

RED = "first_response: 10m"


@dataclass
class Router:
    """One router process over the history and tickets it shares with others."""

    root: Path
    versions: FakeVersions = field(default_factory=FakeVersions)
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    log: FakeLog = field(default_factory=FakeLog)
    tickets: FakeTickets = field(init=False)
    book: PolicyBook = field(init=False)
    life: PolicyLife = field(init=False)

    def __post_init__(self) -> None:
        self.tickets = FakeTickets(self.clock)
        self.start()

    def start(self) -> None:
        folder = PolicyFolder(self.root)
        self.book = PolicyBook(folder.policies, self.log, self.clock)
        relay = Relay(self.tickets, self.log, self.clock)
        self.life = PolicyLife(self.book, self.versions, folder, self.tickets, relay, self.clock)

    async def activate(self, files: dict[str, str], **more: str) -> Version:
        texts = {name: more.pop(name, "") for name in ("policy_hash", "expected_hash", "key")}
        return await self.life.activate(
            more.pop("brand", "default"),
            files,
            texts["policy_hash"],
            expected_hash=texts["expected_hash"],
            key=texts["key"],
            actor=SUPERVISOR,
            reason="shorter",
        )

    def in_force(self, brand: str = "default") -> Version:
        return self.life.in_force(brand)[0]

    def announced(self) -> list[PolicyVersion]:
        return [m.body for m in self.log.messages if isinstance(m.body, PolicyVersion)]

    async def history(self, brand: str = "default") -> list[tuple[str, str]]:
        rows, _ = await self.life.history(brand, 0, "")
        return [(row.actor.id, row.reason) for row in rows]

    async def open(self, n: int = 1, status: Status = Status.RECEIVED) -> Ticket:
        policies = self.policies()
        of = complaint(n)
        event = open_ticket(of, decide(policies, ComplaintFacts(Category.OTHER, "", "default", "app")), policies, START)
        ticket = replace(event.ticket, status=status)
        await self.tickets.add([Update(0, (replace(event, ticket=ticket),))])
        return ticket

    def policies(self, brand: str = "default") -> PolicySet:
        found = self.book.of(brand)
        assert found is not None
        return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return policies_copy(tmp_path)


@pytest.fixture
async def router(root: Path) -> Router:
    router = Router(root)
    await router.life.load()
    await router.book.announce_all()
    return router


def sla_text(root: Path, old: str = RED, new: str = "first_response: 5m") -> dict[str, str]:
    text = (root / "default" / "sla.yaml").read_text(encoding="utf-8")
    assert old in text
    return {"sla.yaml": text.replace(old, new, 1)}


def running(text: str) -> str:
    """All policies of the file apply to running clocks too."""
    return text.replace("    warnAt: [50, 80]\n", "    warnAt: [50, 80]\n    apply: running\n")


async def test_the_fake_history_behaves_as_the_real_one() -> None:
    await behaves(FakeVersions())


async def test_files_that_are_seen_for_the_first_time_are_the_first_activation(router: Router) -> None:
    assert await router.history() == [("files", "first seen")]
    assert await router.history("demo") == [("files", "first seen")]
    assert {m.brand: m.policy_hash for m in router.announced()} == {
        brand: router.policies(brand).hash for brand in ("default", "demo")
    }
    assert all(m.HasField("active_since") and m.files["brand.yaml"] for m in router.announced())


async def test_a_restart_changes_nothing_and_announces_the_same_again(router: Router) -> None:
    before = {m.id: m.body for m in router.log.messages}
    router.clock.advance(timedelta(hours=1))
    router.start()
    await router.life.load()
    await router.book.announce_all()
    assert await router.history() == [("files", "first seen")]
    assert {m.id: m.body for m in router.log.messages} == before


async def test_what_a_person_activated_outlives_a_restart(router: Router, root: Path) -> None:
    version = await router.activate(sla_text(root))
    router.start()
    await router.life.load()
    assert router.in_force() == version
    assert router.policies().hash == version.policy_hash


async def test_files_that_were_edited_while_nobody_ran_win_at_the_start(router: Router, root: Path) -> None:
    await router.activate(sla_text(root))
    edit(root, RED, "first_response: 7m")
    router.start()
    await router.life.load()
    assert await router.history() == [("files", "edited on disk"), ("wang", "shorter"), ("files", "first seen")]
    assert first_response(router.policies()) == timedelta(minutes=7)


async def test_the_base_brands_files_are_the_heirs_too(router: Router, root: Path) -> None:
    edit(root, "warnAt: [50, 80]", "warnAt: [25]")
    await look(router)
    assert await router.history("demo") == [("files", "edited on disk"), ("files", "first seen")]


async def test_an_edit_of_another_brand_does_not_undo_what_a_person_activated(router: Router, root: Path) -> None:
    version = await router.activate(sla_text(root))
    edit(root, "claimWindow: 1h", "claimWindow: 2h", "demo/compensation.yaml")
    await look(router)
    assert router.in_force() == version
    assert len(await router.history("demo")) == 2


async def test_an_edit_on_disk_takes_effect_without_a_restart(router: Router, root: Path) -> None:
    edit(root, RED, "first_response: 7m")
    await look(router)
    assert first_response(router.policies()) == timedelta(minutes=7)
    assert router.announced()[-1].policy_hash == router.policies().hash


async def test_an_edit_that_is_not_sound_changes_nothing_and_is_counted(router: Router, root: Path) -> None:
    before = router.in_force()
    edit(root, RED, "first_response: ten minutes")
    await look(router)
    assert router.in_force() == before
    assert metrics.policy_problems.labels("router")._value.get() == 1
    edit(root, "first_response: ten minutes", "first_response: 7m")
    await look(router)
    assert first_response(router.policies()) == timedelta(minutes=7)
    assert metrics.policy_problems.labels("router")._value.get() == 0


async def test_an_activation_is_announced_before_it_is_in_force(router: Router, root: Path) -> None:
    before = router.in_force()
    router.log.down = True
    with pytest.raises(Unavailable):
        await router.activate(sla_text(root), key="k")
    assert router.in_force() == before
    router.log.down = False
    version = await router.activate(sla_text(root), key="k")
    assert router.in_force() == version
    assert (
        router.announced()[-1].active_since.ToDatetime().isoformat()
        == version.active_since.replace(tzinfo=None).isoformat()
    )
    assert await router.history() == [("wang", "shorter"), ("files", "first seen")]


async def test_files_that_are_not_given_stay_and_an_empty_one_goes(router: Router, root: Path) -> None:
    version = await router.activate(sla_text(root))
    assert version.files.keys() == {path.name for path in (root / "default").glob("*.yaml")}
    demo = await router.activate({"routing.yaml": ""}, brand="demo")
    assert demo.files.keys() == {"brand.yaml", "sla.yaml", "compensation.yaml", "surge.yaml", "orders.yaml"}
    assert router.policies("demo").routing == router.policies().routing


async def test_an_expected_version_that_is_not_in_force_is_refused(router: Router, root: Path) -> None:
    first = router.in_force().policy_hash
    await router.activate(sla_text(root), expected_hash=first)
    with pytest.raises(StaleVersion, match="is in force, not"):
        await router.activate(sla_text(root, RED, "first_response: 6m"), expected_hash=first)


async def test_a_repeated_call_is_done_once_and_a_key_serves_one_call(router: Router, root: Path) -> None:
    first = router.in_force().policy_hash
    version = await router.activate(sla_text(root), key="k", expected_hash=first)
    assert await router.activate(sla_text(root), key="k", expected_hash=first) == version
    with pytest.raises(Conflict):
        await router.activate(sla_text(root, RED, "first_response: 6m"), key="k")
    assert len(await router.history()) == 2


async def test_an_older_version_can_be_activated_again(router: Router, root: Path) -> None:
    first = router.in_force()
    await router.activate(sla_text(root))
    router.clock.advance(timedelta(minutes=1))
    undone = await router.activate({}, policy_hash=first.policy_hash)
    assert (undone.number, undone.policy_hash, undone.files) == (3, first.policy_hash, first.files)
    assert router.policies().hash == first.policy_hash
    assert router.announced()[-1].policy_hash == first.policy_hash
    with pytest.raises(NotFound):
        await router.activate({}, policy_hash="0" * 32)


async def test_problems_of_an_activation_are_all_said_with_file_and_line(router: Router, root: Path) -> None:
    text = sla_text(root, RED, "first_response: ten")["sla.yaml"].replace("resolution: 48h", "resolution: 48x")
    with pytest.raises(Invalid) as caught:
        await router.activate({"sla.yaml": text})
    assert [problem.field for problem in caught.value.problems] == [
        "files[sla.yaml]:7 policies[0].targets.first_response",
        "files[sla.yaml]:29 policies[2].targets.resolution",
    ]
    verdict = await router.life.validate("default", {"sla.yaml": text, "prices.yaml": "a: 1"})
    assert [(p.file, p.line) for p in verdict.problems] == [("prices.yaml", 1), ("sla.yaml", 7), ("sla.yaml", 29)]


@pytest.mark.parametrize(
    ("files", "policy_hash", "actor", "field"),
    [
        ({}, "", SUPERVISOR, "files"),
        ({"sla.yaml": "a: 1"}, "0" * 32, SUPERVISOR, "files"),
        ({"sla.yaml": "a: 1"}, "", Actor(ActorKind.CUSTOMER, "c"), "actor"),
        ({"sla.yaml": "a: 1"}, "", Actor(ActorKind.SUPERVISOR), "actor"),
    ],
)
async def test_a_call_that_says_too_little_or_too_much(
    router: Router, files: dict[str, str], policy_hash: str, actor: Actor, field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await router.life.activate("default", files, policy_hash, expected_hash="", key="", actor=actor, reason="")
    assert [problem.field for problem in caught.value.problems] == [field]


async def test_a_second_router_follows(router: Router, root: Path) -> None:
    other = Router(root, router.versions, ManualClock(START))
    await other.life.load()
    assert len(await router.history()) == 1
    version = await router.activate(sla_text(root))
    await look(other)
    assert other.in_force() == version
    assert [m.policy_hash for m in other.announced()][-1] == version.policy_hash


async def test_an_edit_that_two_routers_see_is_one_activation(router: Router, root: Path) -> None:
    other = Router(root, router.versions, ManualClock(START))
    await other.life.load()
    edit(root, RED, "first_response: 7m")
    await look(router)
    await look(other)
    assert len(await router.history()) == 2
    assert other.in_force() == router.in_force()


async def test_the_history_comes_in_pages(router: Router, root: Path) -> None:
    for minutes in (5, 6, 7):
        await router.activate(sla_text(root, RED, f"first_response: {minutes}m"))
    rows, token = await router.life.history("default", 3, "")
    rest, end = await router.life.history("default", 3, token)
    assert ([row.number for row in rows], [row.number for row in rest], end) == ([4, 3, 2], [1], "")
    with pytest.raises(NotFound):
        await router.life.history("nobody", 0, "")


async def test_edited_policies_apply_to_new_clocks_only(router: Router, root: Path) -> None:
    await router.open()
    files = sla_text(root, "resolution: 48h", "resolution: 24h")
    assert (await router.life.validate("default", files)).running_clocks == 0
    await router.activate(files)
    await look(router)
    assert moved(router.log) == []


async def test_to_running_ones_where_the_policy_says_so_with_the_count_shown_before(router: Router, root: Path) -> None:
    await router.open(1)
    await router.open(2, Status.CLOSED)
    text = running(sla_text(root, "resolution: 48h", "resolution: 24h")["sla.yaml"])
    verdict = await router.life.validate("default", {"sla.yaml": text})
    assert verdict.running_clocks == 1
    version = await router.activate({"sla.yaml": text})
    assert version.policy_hash == verdict.policy_hash
    for _ in range(3):
        await look(router)
    [event] = moved(router.log)
    assert (event.version, event.policy_applied.policy_hash) == (2, version.policy_hash)
    assert (event.actor.id, event.reason) == ("wang", "shorter")
    resolution = next(t for t in event.snapshot.targets if t.metric == 6)
    assert resolution.duration.ToTimedelta() == timedelta(hours=24)
    assert (await router.life.validate("default", {"sla.yaml": text})).running_clocks == 0


async def test_an_undone_change_moves_them_back_but_never_loosens_a_promise(router: Router, root: Path) -> None:
    ticket = await router.open()
    base = running((root / "default" / "sla.yaml").read_text(encoding="utf-8"))
    await router.activate({"sla.yaml": base})
    first = router.in_force().policy_hash
    await router.activate({"sla.yaml": base.replace("resolution: 48h", "resolution: 24h")})
    await look(router)
    assert length(router, ticket, Metric.RESOLUTION) == timedelta(hours=24)
    await router.activate({}, policy_hash=first)
    await look(router)
    assert length(router, ticket, Metric.RESOLUTION) == timedelta(hours=48)
    await router.activate({"sla.yaml": base.replace("resolution: 48h", "resolution: 90h")})
    await look(router)
    assert length(router, ticket, Metric.RESOLUTION) == timedelta(hours=48)
    assert router.tickets.tickets[ticket.id].promise == ticket.promise


async def test_a_ticket_that_another_router_opened_by_the_version_before_is_moved_too(
    router: Router, root: Path
) -> None:
    old = router.policies()
    text = running(sla_text(root, "resolution: 48h", "resolution: 24h")["sla.yaml"])
    await router.activate({"sla.yaml": text})
    await look(router)
    of = complaint(7)
    late = open_ticket(of, decide(old, ComplaintFacts(Category.OTHER, "", "default", "app")), old, START)
    await router.tickets.add([Update(0, (late,))])
    router.clock.advance(timedelta(seconds=9))
    await look(router)
    assert length(router, late.ticket, Metric.RESOLUTION) == timedelta(hours=24)
    assert router.versions.done >= {("default", 2)}


async def look(router: Router) -> None:
    """One round of the loop, and what it publishes."""
    await router.life.look()
    relay = Relay(router.tickets, router.log, router.clock)
    await relay.deliver(list(router.tickets.tickets))
    await relay.clear()


def moved(log: FakeLog) -> Sequence[TicketEvent]:
    return [event for event in log.events() if event.WhichOneof("change") == "policy_applied"]


def length(router: Router, ticket: Ticket, metric: Metric) -> timedelta:
    return next(t for t in router.tickets.tickets[ticket.id].targets if t.metric is metric).duration


def first_response(policies: PolicySet) -> timedelta:
    red = policies.sla[0].targets
    return next(t for t in next(iter(red.values())) if t.metric is Metric.FIRST_RESPONSE).duration
