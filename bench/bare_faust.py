"""The reference of `watchdog`: a bare Faust agent that writes as many bytes to a table and publishes as many messages.

It decides nothing, awaits no acknowledgement and keeps no timer: what Faust itself can do at best.
"""

import os
import sys

import faust
from mode import Worker

VALUE = b"x" * int(os.environ.get("BENCH_ROW_BYTES", "300"))
PARTITIONS = 12


def app() -> faust.App:
    """An application on the stage's topics: complaints in, as many messages out to a topic of its own."""
    prefix = os.environ["PINGXI_TOPIC_PREFIX"]
    bare = faust.App(
        f"{prefix}bare",
        broker=f"aiokafka://{os.environ['PINGXI_KAFKA']}",
        datadir=os.path.join(os.environ["PINGXI_LOCAL"], "bare"),
        store="rocksdb://",
        topic_partitions=PARTITIONS,
        topic_disable_leader=True,
        web_enabled=False,
        autodiscover=False,
        broker_commit_interval=1.0,
        broker_max_poll_records=1000,
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        producer_linger=0.002,
    )
    table = bare.Table("rows", key_type=bytes, value_type=bytes, partitions=PARTITIONS, options={"driver": "rocksdict"})
    incoming = bare.topic(
        prefix + "complaints.v1", key_type=bytes, value_type=bytes, value_serializer="raw", key_serializer="raw"
    )
    outgoing = bare.topic(
        prefix + "sla-events.v1", key_type=bytes, value_type=bytes, value_serializer="raw", key_serializer="raw"
    )

    async def copy(stream):  # type: ignore[no-untyped-def]  # Faust is untyped here
        async for event in stream.events():
            table[event.message.key] = VALUE
            await outgoing.send(key=event.message.key, value=VALUE, headers={"ce_type": b"bench.Bare"})

    bare.agent(incoming, name="copy")(copy)
    return bare


if __name__ == "__main__":
    worker = Worker(app(), loglevel="WARNING")
    sys.exit(worker.execute_from_commandline())
