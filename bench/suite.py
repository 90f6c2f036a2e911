"""What can be measured: a name that stays, a sentence, and how. A further benchmark is a row here."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bench import intake, lateness, router, watchdog
from bench.figures import Result
from bench.progress import Progress

Measure = Callable[[bool, Progress], Awaitable[Sequence[Result]]]


@dataclass(frozen=True)
class Benchmark:
    """`measure(short, progress)` returns its rows; `short` is for CI: the same on a tenth of the load. `asked` ones run
    only by name."""

    name: str
    what: str
    measure: Measure
    asked: bool = False


SUITE: tuple[Benchmark, ...] = (
    Benchmark("intake_http", "complaints acknowledged over HTTP", intake.over_http),
    Benchmark("intake_grpc", "complaints acknowledged over gRPC", intake.over_grpc),
    Benchmark("router", "complaints from the log to stored and published", router.throughput),
    Benchmark("watchdog", "complaints from the log to armed clocks", watchdog.throughput),
    Benchmark("watchdog_lateness_p99_1m", "from the deadline to the breach, with armed timers", lateness.late),
)


def chosen(names: Sequence[str]) -> list[Benchmark]:
    """Those named, else all that aren't for the asking only. Raises ValueError with a sentence for an unknown name."""
    known = {each.name: each for each in SUITE}
    for name in names:
        if name not in known:
            raise ValueError(f"There is no benchmark {name!r}; there are {', '.join(known)}.")
    return [known[name] for name in names] if names else [each for each in SUITE if not each.asked]
