"""Puts the demo together: starts the system, plays the day, tells what it saw, and stops or goes on."""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx

from common.clock import Clock, SystemClock
from common.publisher import Publisher
from deploy.demo.claims import Claims
from deploy.demo.day import load_rows, plan_day
from deploy.demo.orders import ORDINARY, OrderFeed, plan_orders
from deploy.demo.people import Customers, Desk
from deploy.demo.play import Play
from deploy.demo.settings import DemoSettings, load_demo_settings
from deploy.demo.telling import Row, Teller
from deploy.demo.watching import OutboxWatch, Queue, TicketLook, TopicWatch
from deploy.local.settings import SettingsError
from deploy.local.system import System, SystemFailed
from examples.loyalty_consumer.consumer import Loyalty
from examples.loyalty_consumer.settings import Settings as LoyaltySettings
from examples.loyalty_consumer.store import Store
from gen.pingxi.v1.compensation_pb2_grpc import CompensationServiceStub
from gen.pingxi.v1.intake_pb2_grpc import IntakeServiceStub
from gen.pingxi.v1.sla_service_pb2_grpc import SlaServiceStub
from gen.pingxi.v1.ticket_service_pb2_grpc import TicketServiceStub

# The first start downloads Kafka.
READY_WITHIN = 900.0
DONE, FAILED, BAD_SETTINGS = 0, 1, 2


def main() -> int:
    """Exit code: 0 every step was seen (or stopped by Ctrl-C afterwards), 1 not, 2 bad settings."""
    teller = Teller()
    try:
        settings = load_demo_settings()
    except SettingsError as error:
        teller.say(str(error))
        return BAD_SETTINGS
    return asyncio.run(_run(settings, teller))


async def _run(settings: DemoSettings, teller: Teller) -> int:
    clock = SystemClock()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    system = System(settings.system.local, environ=os.environ)
    try:
        if not await _until_stop(_start(system, teller, clock), stop):
            return FAILED
        async with _loyalty(settings, system):
            rows = await _until_stop(_play(settings, system, teller, clock), stop)
            if rows is None:
                return FAILED
            told = sum_up(rows, teller)
            if not settings.exit_when_told:
                _invite(system, teller)
                await stop.wait()
        return DONE if told else FAILED
    except SystemFailed as error:
        teller.say(str(error))
        return FAILED
    except ExceptionGroup as group:
        for each in group.exceptions:
            teller.say(f"The demo broke off: {each!r}", "red")
        return FAILED
    finally:
        teller.end_progress()
        teller.say("Stopping …")
        await asyncio.to_thread(system.stop)
        teller.say("Everything has stopped.")


@asynccontextmanager
async def _loyalty(settings: DemoSettings, system: System) -> AsyncIterator[None]:
    """The sample loyalty system takes the vouchers and answers, as long as the demo lasts."""
    stop = asyncio.Event()
    store = Store(system.local / "loyalty.sqlite3")
    own = LoyaltySettings(
        kafka=system.env["PINGXI_KAFKA"],
        database=system.local / "loyalty.sqlite3",
        group="loyalty",
        topic_prefix=settings.topic_prefix,
        closed_accounts=frozenset(),
    )
    running = asyncio.ensure_future(Loyalty(own, store).run(stop))
    try:
        yield
    finally:
        stop.set()
        # Faults of its own are the demo's: a step that needs it isn't seen, and why is said here.
        await asyncio.wait({running}, timeout=5.0)
        running.cancel()
        results = await asyncio.gather(running, return_exceptions=True)
        store.close()
        if isinstance(results[0], Exception):
            raise results[0]


async def _until_stop(work: Any, stop: asyncio.Event) -> Any:
    """The result of the work; None if it was stopped before."""
    task, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return None
    return task.result()


async def _start(system: System, teller: Teller, clock: Clock) -> bool:
    """Shows what the supervisor prints while everything starts. Raises SystemFailed with its last words."""
    shown = system.output.stat().st_size if system.output.exists() else 0
    teller.say("Starting Kafka, the database and the services …", "bold")
    system.start()
    ready = asyncio.ensure_future(asyncio.to_thread(system.ready, READY_WITHIN))
    # Interrupted, nobody asks any more what it ended with.
    ready.add_done_callback(lambda done: done.cancelled() or done.exception())
    while not ready.done():
        await asyncio.wait({ready}, timeout=0.2)
        shown = _relay(system.output, shown, teller)
    if error := ready.exception():
        raise SystemFailed("The system didn't start; its own words are above.") from error
    return True


def _relay(path: Path, start: int, teller: Teller) -> int:
    """Prints the whole lines after byte `start`; returns where the next ones begin."""
    if not path.exists():
        return start
    with open(path, "rb") as file:
        file.seek(start)
        whole, newline, _ = file.read().rpartition(b"\n")
    if not newline:
        return start
    teller.say(whole.decode(errors="replace"), "dim")
    return start + len(whole) + 1


async def _play(settings: DemoSettings, system: System, teller: Teller, clock: Clock) -> list[Row]:
    keys, env = system.keys(), system.env
    queue: Queue = asyncio.Queue()
    run = secrets.token_hex(4)
    complaints = plan_day(load_rows(), run, settings.seconds)
    orders = plan_orders(complaints, run, settings.seconds)
    publisher = Publisher(env["PINGXI_KAFKA"], "order-platform", topic_prefix=settings.topic_prefix)
    await publisher.start()
    outbox = OutboxWatch(system.local / "outbox.jsonl", clock, queue)
    look = TicketLook(env["PINGXI_MONGO"], clock, queue)
    try:
        async with (
            TopicWatch(env["PINGXI_KAFKA"], settings.topic_prefix, clock, queue) as topics,
            httpx.AsyncClient(base_url=f"http://{env['PINGXI_INTAKE_HTTP']}", timeout=10, trust_env=False) as client,
            grpc.aio.insecure_channel(env["PINGXI_INTAKE_GRPC"]) as intake,
            grpc.aio.insecure_channel(env["PINGXI_ROUTER_GRPC"]) as router,
            grpc.aio.insecure_channel(env["PINGXI_SLA_GRPC"]) as sla,
        ):
            customers = Customers(client, IntakeServiceStub(intake), keys["channels"], clock, queue)
            desk = Desk(TicketServiceStub(router), SlaServiceStub(sla), keys["service"], clock)
            teller.say(
                f"\nA day of {len(complaints)} complaints in {settings.seconds:.0f} s, brand demo: an urgent one is to "
                "be answered within 3 s, others within 6 s.\n"
                "Two of them are told, [A] that nobody answers and [B] that is answered; [C] is what many complaints "
                "about one shop become, [D] an order that is late though nobody complains, [E] a claim that a person "
                "has to look at. Only what was seen is told, with the seconds since the (first) acknowledgement and "
                "where it was seen.\n",
            )
            late = next(order for order in orders if order.late)
            disputed = next(order for order in orders if order.product == ORDINARY)
            claims = Claims(CompensationServiceStub(sla), keys["service"], clock, queue)
            play = Play(complaints, customers, desk, look, clock, queue, teller, settings.bound, late, claims, disputed)
            rows = await play.run([topics.run, outbox.run, OrderFeed(orders, publisher, clock).run])
            teller.say(f"\n{play.summary()}\n")
            return rows
    finally:
        look.close()
        await publisher.stop()


def sum_up(rows: Sequence[Row], teller: Teller) -> bool:
    """Prints the table and whether all of it was seen; what wasn't is named."""
    teller.table(rows)
    missing = [row for row in rows if not row.seen]
    if missing:
        teller.say("Not seen: " + "; ".join(f"{row.part}: {row.name}" for row in missing), "bold red")
    else:
        teller.say(f"All {len(rows)} steps were seen.", "bold green")
    return not missing


def _invite(system: System, teller: Teller) -> None:
    env, key = system.env, system.keys()["channels"]["app"]
    addresses = "\n".join(
        f"  {what:<30}{env[variable]}"
        for what, variable in (
            ("complaints, HTTP (and /docs)", "PINGXI_INTAKE_HTTP"),
            ("complaints, gRPC", "PINGXI_INTAKE_GRPC"),
            ("tickets, gRPC", "PINGXI_ROUTER_GRPC"),
            ("clocks, gRPC", "PINGXI_SLA_GRPC"),
            ("messages, gRPC", "PINGXI_NOTIFIER_GRPC"),
            ("Kafka", "PINGXI_KAFKA"),
            ("MongoDB", "PINGXI_MONGO"),
        )
    )
    teller.say(
        f"\nThe system goes on. Ctrl-C stops it.\n{addresses}\n  {'keys':<30}{env['PINGXI_KEYS']}\n"
        f"  {'messages sent':<30}{system.local / 'outbox.jsonl'}\n\nComplain yourself:\n"
        f"  curl -s http://{env['PINGXI_INTAKE_HTTP']}/api/complaint -H 'Authorization: Bearer {key}' "
        "-H 'Content-Type: application/json' "
        """-d '{"brand":"demo","type":"配送","description":"等了一个小时还没到","contact":"13800138000"}'\n"""
    )
