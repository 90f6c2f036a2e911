"""Golden messages: nobody's JSON or bytes change unnoticed."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from google.protobuf.message import Message as Proto

from common.events import Decoder, Outgoing, encode
from common.topics import registry
from common.words import rfc3339
from rules import number
from tests.contract.golden import EXAMPLES, Golden, goldens, message_class, parse, to_bytes, to_json

ALL = list(goldens())
STANDARD = {
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_subject",
    "ce_time",
    "content-type",
    "traceparent",
}
# interfaces.md, "Headers to rely on".
EXTRA = {
    "escalations.v1": {"ce_metric", "ce_level"},
    "sla-events.v1": {"ce_metric", "ce_level"},
    "vouchers.v1": {"ce_reason", "ce_ticket"},
}
by_file = pytest.mark.parametrize("golden", ALL, ids=lambda golden: golden.id)


@by_file
def test_json_and_bytes_are_the_same_message_and_stay_what_they_were(golden: Golden) -> None:
    message = parse(golden)
    assert to_json(message) == golden.value
    assert to_bytes(message).hex() == golden.wire.hex(), "the wire form changed: readers and stored messages break"
    assert to_json(type(message).FromString(golden.wire)) == golden.value


@by_file
def test_the_headers_are_those_that_publishing_makes(golden: Golden) -> None:
    attributes = {name.removeprefix("ce_"): value for name, value in golden.headers.items() if name not in STANDARD}
    message = Outgoing(
        topic=golden.topic,
        key=golden.key,
        id=golden.headers["ce_id"],
        subject=golden.headers["ce_subject"],
        time=datetime.fromisoformat(golden.headers["ce_time"]),
        body=parse(golden),
        attributes=attributes,
        traceparent=golden.headers["traceparent"],
    )
    key, _, pairs = encode(message, golden.headers["ce_source"].removeprefix("/pingxi/"))
    made = {name: value.decode() for name, value in pairs}
    assert len(made) == len(pairs)
    assert key.decode() == golden.key
    # A message continues its trace with a span of its own.
    trace, same_trace = made.pop("traceparent").split("-"), golden.headers["traceparent"].split("-")
    assert trace[1] == same_trace[1]
    assert trace[2] != same_trace[2]
    assert made == {name: value for name, value in golden.headers.items() if name != "traceparent"}


@by_file
def test_the_headers_that_readers_rely_on_are_there(golden: Golden) -> None:
    needed = EXTRA.get(golden.topic, set())
    assert set(golden.headers) >= STANDARD | needed
    assert golden.headers["ce_type"] == f"pingxi.v1.{golden.message}"
    assert golden.headers["ce_time"] == rfc3339(datetime.fromisoformat(golden.headers["ce_time"]).astimezone(UTC))


@by_file
def test_a_consumer_decodes_it(golden: Golden) -> None:
    headers = [(name, value.encode()) for name, value in golden.headers.items()]
    kind = message_class(golden.message)
    found = Decoder([kind]).decode(golden.topic, 0, 0, golden.key.encode(), golden.wire, headers)
    assert found is not None
    assert (found.type, found.key, found.id) == (golden.message, golden.key, golden.headers["ce_id"])
    assert found.body == parse(golden)


@by_file
def test_keys_and_ids_have_the_form_they_have_in_life(golden: Golden) -> None:
    body = parse(golden)
    assert re.fullmatch(r"[0-9a-f]{32}", golden.headers["ce_id"])
    if registry()[golden.topic].key == "ticket id":
        assert number.parse(golden.key) == golden.key
        assert golden.key in (getattr(body, "ticket_id", ""), getattr(getattr(body, "clock", None), "ticket_id", ""))


def test_every_message_of_every_topic_has_an_example() -> None:
    wanted = {(topic.name, message) for topic in registry().values() for message in topic.messages}
    assert {(golden.topic, golden.message) for golden in ALL} == wanted


def test_every_change_of_a_ticket_has_an_example() -> None:
    event = message_class("TicketEvent").DESCRIPTOR
    wanted = {field.name for field in event.oneofs_by_name["change"].fields}
    shown = {message.WhichOneof("change") for g in ALL if g.message == "TicketEvent" for message in [parse(g)]}
    assert shown == wanted


def test_every_field_is_set_in_some_example() -> None:
    """Or the wire form of that field could change unnoticed."""
    shown: set[str] = set()
    there: set[str] = set()
    for golden in ALL:
        for message in _messages_in(parse(golden)):
            there |= {field.full_name for field in message.DESCRIPTOR.fields}
            shown |= {field.full_name for field, _ in message.ListFields()}
    assert there - shown == {name for name in there if name.startswith("google.protobuf.")} - shown


@by_file
def test_no_personal_data_is_in_the_clear(golden: Golden) -> None:
    """Contact and text travel sealed only, and on topics that say so."""
    names = {field.name for message in _messages_in(parse(golden)) for field, _ in message.ListFields()}
    assert not names & {"contact", "text", "description", "contact_name", "phone", "address"}
    if "ciphertext" in names:
        assert golden.topic == "complaints.v1"


def _messages_in(message: Proto) -> Iterator[Proto]:
    yield message
    for field, value in message.ListFields():
        kind = field.message_type
        if kind is not None and not kind.GetOptions().map_entry:
            for item in [value] if isinstance(value, Proto) else value:
                yield from _messages_in(item)


def test_examples_lie_where_their_topic_is() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} <= set(registry())
