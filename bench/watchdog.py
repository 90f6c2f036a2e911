"""How fast the watchdog takes complaints in: decided, published, written to its table, acknowledged.

The reference is a bare Faust agent that writes as many bytes to a table and publishes as many messages, and waits for
none of them. Both start with the same complaints in the log.
"""

from collections.abc import Sequence

from bench.figures import Result, beside
from bench.lateness import complaints, publish
from bench.progress import Progress
from bench.stage import backends
from common.publisher import Publisher

COMPLAINTS = 20_000
RUNS = 5
# The size of a row with one clock, and of its SlaArmed.
ROW_BYTES = 300


async def throughput(short: bool, progress: Progress) -> Sequence[Result]:
    """`watchdog`: complaints a second between the first and the last clock armed."""
    count, runs = (COMPLAINTS // 10, 2) if short else (COMPLAINTS, RUNS)
    pairs: list[tuple[float, float]] = []
    async with backends() as there:
        for _ in range(runs):
            rates = []
            for module, ready, kind in (
                ("services.sla", "PINGXI_SLA_METRICS", b"pingxi.v1.SlaArmed"),
                ("bench.bare_faust", "", b"bench.Bare"),
            ):
                async with there.stage({"BENCH_ROW_BYTES": str(ROW_BYTES)}) as stage:
                    publisher = Publisher(stage.kafka, "bench", topic_prefix=stage.prefix)
                    await publisher.start()
                    await publish(publisher, complaints(count, []), progress)
                    await publisher.stop()
                    await stage.start(module, ready=ready)
                    rates.append((await stage.read("sla-events.v1", kind, count, progress)).rate)
            pairs.append((rates[0], rates[1]))
    return [
        beside(
            "watchdog",
            pairs,
            "complaints/s",
            "a bare Faust agent with the same bytes and as many messages",
            "Python in one process: Faust's stream, then the decision",
            complaints=float(count),
        )
    ]
