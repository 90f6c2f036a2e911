"""How many complaints intake acknowledges, beside what its web server and its producer can do alone.

The references are measured in turn with it, at the same number of callers: the same server answering an empty call, and
a bare producer whose every message waits for `acks=all`. The slower of the two is what intake could reach at best.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import grpc
from aiokafka import AIOKafkaProducer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bench.figures import Result, beside
from bench.load import Load, closed_loop
from bench.progress import Progress
from bench.stage import Backends, Stage, backends
from bench.texts import complaint
from gen.pingxi.v1.intake_pb2 import SubmitComplaintRequest
from gen.pingxi.v1.intake_pb2_grpc import IntakeServiceStub

CALLERS = 64
CALLS = 4000
RUNS = 5
# A record of complaints.v1 has about so many bytes.
RECORD_BYTES = 1100
UNLIMITED = {"PINGXI_INTAKE_CHANNEL_PER_MINUTE": "0", "PINGXI_INTAKE_CUSTOMER_PER_MINUTE": "0"}

Measured = Callable[[Stage, int, int], Awaitable[Load]]


async def over_http(short: bool, progress: Progress) -> Sequence[Result]:
    """`intake_http`."""
    return await _beside("intake_http", _http, _empty_http, "an empty POST to the same web server", short, progress)


async def over_grpc(short: bool, progress: Progress) -> Sequence[Result]:
    """`intake_grpc`."""
    return await _beside("intake_grpc", _grpc, _empty_grpc, "a health check at the same gRPC server", short, progress)


async def _beside(
    name: str, measured: Measured, empty: Measured, what: str, short: bool, progress: Progress
) -> Sequence[Result]:
    calls, runs = (CALLS // 10, 3) if short else (CALLS, RUNS)
    loads: list[Load] = []
    pairs: list[tuple[float, float, float]] = []
    async with backends() as there, there.stage(UNLIMITED) as stage, _empty_stage(there) as bare:
        await stage.start("services.intake", ready="PINGXI_INTAKE_METRICS")
        empty_at = bare if empty is _empty_http else stage
        # Once unmeasured: connections, code paths and topics warm.
        for warm, at in ((measured, stage), (empty, empty_at), (_produce, stage)):
            await warm(at, calls // 10, 0)
        for run in range(1, runs + 1):
            progress.step("runs", run - 1, runs)
            loads.append(await measured(stage, calls, run))
            alone = await empty(empty_at, calls, run)
            sent = await _produce(stage, calls, run)
            pairs.append((loads[-1].rate, alone.rate, sent.rate))
        progress.step("runs", runs, runs)
    servers, logs = sorted(pair[1] for pair in pairs), sorted(pair[2] for pair in pairs)
    server, log = servers[len(servers) // 2], logs[len(logs) // 2]
    slower = 1 if server <= log else 2
    return [
        beside(
            name,
            [(pair[0], pair[slower]) for pair in pairs],
            "complaints/s",
            what if slower == 1 else "a bare producer, acks=all",
            "client, server and broker share the machine's cores",
            callers=CALLERS,
            p50_seconds=sorted(load.p50 for load in loads)[len(loads) // 2],
            p99_seconds=sorted(load.p99 for load in loads)[len(loads) // 2],
            empty_calls_per_second=server,
            bare_produce_per_second=log,
        )
    ]


@asynccontextmanager
async def _empty_stage(there: Backends) -> AsyncIterator[Stage]:
    async with there.stage() as stage:
        await stage.start("bench.empty_server", ready="PINGXI_INTAKE_METRICS")
        yield stage


def _key(stage: Stage) -> str:
    return str(json.loads(Path(stage.env["PINGXI_KEYS"]).read_text())["channels"]["app"])


async def _http(stage: Stage, calls: int, run: int) -> Load:
    return await _posts(stage, "/api/complaint", calls, run)


async def _empty_http(stage: Stage, calls: int, run: int) -> Load:
    return await _posts(stage, "/empty", calls, run)


async def _posts(stage: Stage, path: str, calls: int, run: int) -> Load:
    url = f"http://{stage.env['PINGXI_INTAKE_HTTP']}{path}"
    headers = {"authorization": f"Bearer {_key(stage)}", "content-type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CALLERS), headers=headers) as http:

        async def call(index: int) -> None:
            body = json.dumps(complaint(run * 1_000_000 + index), ensure_ascii=False).encode()
            async with http.post(url, data=body) as answer:
                text = await answer.text()
                if answer.status != 201:
                    raise RuntimeError(f"{path} answered {answer.status}: {text[:200]}")

        return await closed_loop(call, calls, CALLERS)


async def _grpc(stage: Stage, calls: int, run: int) -> Load:
    async with grpc.aio.insecure_channel(stage.env["PINGXI_INTAKE_GRPC"]) as channel:
        stub = IntakeServiceStub(channel)
        metadata = (("authorization", f"Bearer {_key(stage)}"),)

        async def call(index: int) -> None:
            body = complaint(run * 1_000_000 + index)
            await stub.SubmitComplaint(
                SubmitComplaintRequest(
                    type=body["type"],
                    description=body["description"],
                    contact=body["contact"],
                    order_id=body["orderId"],
                    customer_id=body["customerId"],
                ),
                metadata=metadata,
                timeout=30,
            )

        return await closed_loop(call, calls, CALLERS)


async def _empty_grpc(stage: Stage, calls: int, run: int) -> Load:
    async with grpc.aio.insecure_channel(stage.env["PINGXI_INTAKE_GRPC"]) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]  # its stubs know the servicer only

        async def call(index: int) -> None:
            await check(health_pb2.HealthCheckRequest(), timeout=30)

        return await closed_loop(call, calls, CALLERS)


async def _produce(stage: Stage, calls: int, run: int) -> Load:
    producer = AIOKafkaProducer(
        bootstrap_servers=stage.kafka, acks="all", enable_idempotence=True, linger_ms=2, max_batch_size=256 * 1024
    )
    await producer.start()
    try:
        value = b"x" * RECORD_BYTES

        async def call(index: int) -> None:
            await producer.send_and_wait(stage.prefix + "dead-letters.v1", value, b"%d" % index)

        return await closed_loop(call, calls, CALLERS)
    finally:
        await producer.stop()
