"""What can be measured: a name that stays, a sentence, and how. A further benchmark is a row here."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bench import classifier, compensation, growth, intake, lateness, path, router, surge, watchdog
from bench.figures import Result
from bench.progress import Progress

Measure = Callable[[bool, Progress], Awaitable[Sequence[Result]]]


@dataclass(frozen=True)
class Benchmark:
    """`measure(short, progress)` returns its rows; `short` is for CI: the same on a tenth of the load. `asked` ones run
    only by name; by its short name too, where it has one."""

    name: str
    what: str
    measure: Measure
    asked: bool = False
    short_name: str = ""


SUITE: tuple[Benchmark, ...] = (
    Benchmark("intake_http", "complaints acknowledged over HTTP", intake.over_http),
    Benchmark("intake_grpc", "complaints acknowledged over gRPC", intake.over_grpc),
    Benchmark("router", "complaints from the log to stored and published", router.throughput),
    Benchmark("watchdog", "complaints from the log to armed clocks", watchdog.throughput),
    Benchmark("watchdog_lateness_p99_1m", "from the deadline to the breach, with armed timers", lateness.late),
    Benchmark("surge", "complaints through the surge detector", surge.throughput),
    Benchmark("surge_delay", "complaints of a cause until it is called a surge", surge.delay),
    Benchmark("compensation", "compensations decided by the ledger", compensation.throughput),
    Benchmark("classifier", "a text read by the router", classifier.microseconds),
    Benchmark("path_p99_seconds", "the whole path, and from a breach to its message", path.delays, short_name="path"),
    Benchmark("growth", "what a complaint costs with 10,000 and 100,000 tickets stored", growth.cost, asked=True),
)


def chosen(names: Sequence[str]) -> list[Benchmark]:
    """Those named, else all that aren't for the asking only. Raises ValueError with a sentence for an unknown name."""
    known = {name: each for each in SUITE for name in (each.name, each.short_name) if name}
    for name in names:
        if name not in known:
            raise ValueError(f"There is no benchmark {name!r}; there are {', '.join(known)}.")
    return [known[name] for name in names] if names else [each for each in SUITE if not each.asked]
