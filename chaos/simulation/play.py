"""A seed → a whole schedule of work, deaths, repeats and jumps of the clock → rest → an observation to check."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

from chaos.checker import Violation, check
from chaos.observation import Credit, Lag, Observation, Sent, StoredTicket
from chaos.rebuilding import Calendars, clock_copies, ticket_copies
from chaos.records import MARK, poisoned_of, record_of
from chaos.simulation import paying, telling
from chaos.simulation.people import CONTACT, DESK, Customers, Desk
from chaos.simulation.ticketing import router
from chaos.simulation.watching import INPUTS, watchdog
from chaos.simulation.world import IDLE, PARTITIONS, Steps, World

Make = Callable[[World], list[Steps]]
PROCESSES: Mapping[str, Make] = {
    "router": router,
    **{f"sla-{number}": partial(watchdog, partition=number) for number in range(PARTITIONS)},
    "compensation": paying.payer,
    "notifier": telling.notifier,
    "loyalty": paying.loyalty,
}
# Lives that clients ask something of; intake has no steps of its own.
ASKED = ("intake", "router")
READERS: Mapping[str, str] = {
    "complaints.v1": "router,sla",
    "tickets.v1": "sla,notifier",
    "escalations.v1": "router,notifier",
    "vouchers.v1": "router,notifier,loyalty",
    "sla-due": "sla",
    "compensation-requests": "compensation",
}
GROUPS: Mapping[str, Sequence[str]] = {
    "router": ["complaints.v1"],
    "router-history": ["escalations.v1", "vouchers.v1"],
    "pingxi-sla": [*INPUTS, "sla-due"],
    "sla-compensation": ["compensation-requests"],
    "notifier": ["tickets.v1", "vouchers.v1"],
    "notifier-escalations": ["escalations.v1"],
    "loyalty": ["vouchers.v1"],
}
HORIZON = timedelta(seconds=45)
_MOST_STEPS_TO_REST = 200_000


class NeverAtRest(AssertionError):
    """Something goes round in circles."""


@dataclass(frozen=True)
class Dies:
    """A death at a chosen step, for the sweep over all of them."""

    process: str
    step: int


class Play:
    """The scheduler. Processes and clients advance one step at a time, in an order that the seed decides."""

    def __init__(self, seed: int, bugs: Collection[str] = (), dies: Dies | None = None) -> None:
        self.world = World(seed, bugs)
        self.customers = Customers(self.world)
        self.desk = Desk(self.world)
        self._chance = self.world.chance
        self._running = {name: make(self.world) for name, make in PROCESSES.items()}
        self._clients: list[Steps] = []
        self._dies = dies
        self.steps = dict.fromkeys((*PROCESSES, "intake"), 0)
        # Every second order is about food safety.
        self._orders = 1 if bugs else self._chance.randint(0, 1)
        self._most = self._orders + self._chance.choice((1, 1, 2))
        self._changes = 0

    def run(self) -> Observation:
        """Plays the schedule and comes to rest. Raises NeverAtRest."""
        if self._dies is None:
            self._trouble(self._chance.randint(250, 600))
        else:
            self._quietly()
        self._rest()
        return self.observation()

    # What a schedule is made of.

    def _trouble(self, steps: int) -> None:
        deaths = self._chance.choice((0.0, 0.01, 0.05, 0.1)) if not self.world.bugs else 0.12
        outages = self._chance.choice((0.0, 0.005, 0.02))
        self.world.repeats = self._chance.choice((0.0, 0.02, 0.2))
        jumps = 1 if self._chance.random() < 0.1 else 0
        self._complain()
        for _ in range(steps):
            dice = self._chance.random()
            if dice < deaths:
                self._die(self._chance.choice((*PROCESSES, "intake")))
            elif dice < deaths + outages:
                self.world.away ^= {self._chance.choice(("log", "store", "provider"))}
            elif dice < 0.18:
                self.world.pass_time(timedelta(seconds=self._chance.expovariate(3.0)))
            elif dice < 0.19:
                self._complain()
            elif dice < 0.21:
                self._work()
            elif dice < 0.22:
                self._repeat()
            elif dice < 0.223:
                self._poison()
            elif dice < 0.224 and jumps:
                jumps -= 1
                self.world.pass_time(timedelta(hours=1))
            else:
                self._step()

    def _quietly(self) -> None:
        """The same story without anything random but the order: for deaths at chosen steps."""
        for number in range(2):
            self._complain(tries=1, patient=True)
            for _ in range(40):
                self._step()
            if number == 0:
                self._most = self._orders + 1
                self._work("replied")
        for _ in range(60):
            self._step()
            self.world.pass_time(timedelta(milliseconds=50))

    def _complain(self, tries: int = 0, patient: bool | None = None) -> None:
        if self._orders < self._most:
            self._orders += 1
            tries = tries or self._chance.choice((1, 1, 2))
            patient = self._chance.random() < 0.8 if patient is None else patient
            self._clients.append(self.customers.complain(self._orders, tries, patient))

    def _work(self, change: str = "") -> None:
        tickets = sorted(self.world.store.tickets)
        if tickets and self._changes < 8:
            self._changes += 1
            change = change or self._chance.choice([*DESK])
            self._clients.append(self.desk.work(self._changes, self._chance.choice(tickets), change))

    def _die(self, name: str) -> None:
        if name in self.world.lives:
            self.world.lives[name] += 1
        if name in PROCESSES:
            if self._chance.random() < 0.2:
                self._rewind(name)
            self._running[name] = PROCESSES[name](self.world)

    def _rewind(self, name: str) -> None:
        """What the process committed is forgotten in part: it reads it again."""
        if own := sorted(place for place in self.world.log.committed if _owner(*place) == name):
            place = self._chance.choice(own)
            self.world.log.committed[place] = max(0, self.world.log.committed[place] - self._chance.randint(1, 5))

    def _repeat(self) -> None:
        """An old message comes again."""
        records = [r for r in self.world.log.everything() if r.topic != "dead-letters.v1"]
        if records and "log" not in self.world.away:
            r = self._chance.choice(records)
            self.world.log.put(r.topic, r.key or b"", r.value, r.headers, self.world.now, r.partition)

    def _poison(self) -> None:
        topic = self._chance.choice([*READERS])
        mark = (MARK, f"poison:{READERS[topic]}".encode())
        headers = self._chance.choice(([mark], [mark, ("ce_type", b"other.v9.Thing")]))
        self.world.log.put(topic, self._chance.randbytes(4), b"\xff nothing", headers, self.world.now)

    # Carrying it out.

    def _step(self) -> bool:
        """One step of somebody; whether anything happened."""
        name = self._chance.choice(("clients", *PROCESSES))
        if name == "clients":
            return self._step_client()
        return self._step_process(name)

    def _step_client(self) -> bool:
        if not self._clients:
            return False
        client = self._chance.choice(self._clients)
        self._count("intake")
        try:
            return next(client) != IDLE
        except StopIteration:
            self._clients.remove(client)
            return True

    def _step_process(self, name: str) -> bool:
        if self._count(name):
            return True
        return next(self._chance.choice(self._running[name])) != IDLE

    def _count(self, name: str) -> bool:
        self.steps[name] += 1
        if self._dies == Dies(name, self.steps[name]):
            self._die(name)
            return True
        return False

    def _rest(self) -> None:
        """No more trouble: everything goes on until only time is left, and that passes until every promise is over."""
        self.world.away.clear()
        self.world.repeats = 0.0
        until = self.world.now + HORIZON
        budget = _MOST_STEPS_TO_REST
        while True:
            while self._round():
                budget -= 1
                if not budget:
                    raise NeverAtRest
            ahead = [at for at in self.world.ahead() if at > self.world.now]
            if not ahead or min(ahead) > until:
                break
            self.world.now = min(ahead)
        self.world.now = until
        while self._round():
            pass

    def _round(self) -> bool:
        """Everybody once; whether anybody did anything."""
        busy = False
        for client in [*self._clients]:
            try:
                busy |= next(client) != IDLE
            except StopIteration:
                self._clients.remove(client)
                busy = True
        for name, steps in self._running.items():
            if self._count(name):
                busy = True
                continue
            for each in steps:
                busy |= next(each) != IDLE
        return busy

    def violations(self) -> list[Violation]:
        """Plays and checks."""
        return check(self.run())

    # What an outsider sees of it.

    def observation(self) -> Observation:
        """At rest."""
        world, log = self.world, self.world.log
        raw = log.everything()
        records = [record_of(r, r.at) for r in raw]
        table = {key.decode(): value for each in world.tables for key, value in each.items()}
        tickets = {
            t.id: SimpleNamespace(version=t.version, assignee=t.assignee, queue=t.queue)
            for t in world.store.tickets.values()
        }
        return Observation(
            settled_at=world.now,
            requests=tuple(self.customers.told.values()),
            commands=tuple(self.desk.told.values()),
            records=tuple(r for r in records if r is not None),
            poisoned=poisoned_of(raw),
            tickets=tuple(
                StoredTicket(t.id, t.order_id, t.version, tuple(e.ticket.version for e in world.store.outbox[t.id]))
                for t in world.store.tickets.values()
            ),
            ledger=paying.ledger_rows(world),
            budgets=paying.budgets(world),
            credits=tuple(Credit(*each) for each in world.credits),
            sent=tuple(Sent(*each) for each in world.taken),
            copies=(
                *clock_copies(raw, table, Calendars({"demo": world.policies}), world.now),
                *ticket_copies(raw, tickets),
            ),
            lags=tuple(
                Lag(group, topic, number, log.committed.get((group, topic, number), 0), log.end(topic, number))
                for group, topics in GROUPS.items()
                for topic in topics
                for number in range(PARTITIONS)
            ),
            leaks=tuple(f"line {number}" for number, line in enumerate(world.printed, 1) if CONTACT in line),
            pays=frozenset({(True, "first_response")}),
        )


def _owner(group: str, topic: str, partition: int) -> str:
    """The process that reads a partition for a group."""
    owners = {"pingxi-sla": f"sla-{partition}", "sla-compensation": "compensation", "loyalty": "loyalty"}
    return owners.get(group, group.partition("-")[0])


def deaths(seed: int) -> list[Dies]:
    """Every step of the quiet story of a seed, as a place to die."""
    quiet = Play(seed, dies=Dies("", 0))
    quiet.run()
    return [Dies(name, step) for name, steps in quiet.steps.items() for step in range(1, steps + 1)]
