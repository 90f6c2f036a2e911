"""An SMTP client (Python's own), and the complaints of mails that it left in Kafka."""

import asyncio
import smtplib
import ssl
from collections import defaultdict

from common.settings import host_port
from gen.pingxi.v1 import common_pb2
from tests.integration.intake.running import Record, Running, read_log
from wire.personal import open_personal

OUR_ADDRESS = "complaint@xiaoxiang.example"
CUSTOMER = "zhangsan@qq.com"


def client_of(running: Running) -> smtplib.SMTP:
    """A connected client that has said EHLO."""
    client = smtplib.SMTP(*host_port(running.settings.intake_smtp), timeout=60)
    client.ehlo()
    return client


def hand_in(client: smtplib.SMTP, raw: bytes, *to: str, sender: str = CUSTOMER) -> int:
    """The code that ends the mail, at whichever stage."""
    code, _ = client.mail(sender, [f"SIZE={len(raw)}"])
    for address in to or (OUR_ADDRESS,):
        if code == 250:
            code, _ = client.rcpt(address)
    if code == 250:
        code, _ = client.data(raw)
    if code != 250:
        client.rset()
    return code


async def mailed(running: Running, *mails: bytes, to: str = OUR_ADDRESS, sender: str = CUSTOMER) -> list[int]:
    """The codes of some mails, sent over one connection."""

    def send() -> list[int]:
        with client_of(running) as client:
            return [hand_in(client, raw, to, sender=sender) for raw in mails]

    return await asyncio.to_thread(send)


async def complaints(running: Running) -> dict[str, list[Record]]:
    """The records of the mail channel by their texts."""
    sealer = running.keys.sealer()
    found: dict[str, list[Record]] = defaultdict(list)
    for record in await read_log(running.settings.kafka, running.settings.topic_prefix):
        if record.body.channel == common_pb2.CHANNEL_MAIL:
            found[open_personal(sealer, record.key, record.body.personal).text].append(record)
    return found


def trusting() -> ssl.SSLContext:
    """For a certificate that nobody vouches for."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
