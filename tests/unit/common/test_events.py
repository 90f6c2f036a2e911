"""CloudEvents headers and the decoding of whatever arrives."""

from datetime import UTC, datetime

import pytest

from common.errors import Poison
from common.events import Decoder, Outgoing, encode
from common.tracing import continue_trace, trace_id
from gen.pingxi.v1.complaint_pb2 import ComplaintSubmitted, RatingGiven

AT = datetime(2026, 3, 1, 4, 5, 6, 789, tzinfo=UTC)
MESSAGE = Outgoing("complaints.v1", "k", "id-1", "7K3M", AT, ComplaintSubmitted(brand="demo"), {"metric": "routing"})


def test_every_message_carries_the_cloudevents_attributes_and_a_traceparent() -> None:
    key, value, headers = encode(MESSAGE, "intake")
    found = {name: text.decode() for name, text in headers}
    trace = found.pop("traceparent")
    assert found == {
        "ce_specversion": "1.0",
        "ce_id": "id-1",
        "ce_source": "/pingxi/intake",
        "ce_type": "pingxi.v1.ComplaintSubmitted",
        "ce_subject": "7K3M",
        "ce_time": "2026-03-01T04:05:06.000789Z",
        "content-type": "application/protobuf",
        "ce_metric": "routing",
    }
    assert trace.startswith("00-")
    assert (key, ComplaintSubmitted.FromString(value).brand) == (b"k", "demo")


def test_an_outgoing_message_stays_in_the_trace_of_the_incoming_one() -> None:
    with continue_trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"):
        headers = dict(encode(MESSAGE, "x")[2])
        assert trace_id() == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert headers["traceparent"].split(b"-")[1] == b"4bf92f3577b34da6a3ce929d0e0e4736"
    assert headers["traceparent"].split(b"-")[2] != b"00f067aa0ba902b7"


@pytest.mark.parametrize("broken", [None, "", "nonsense", "00-" + "0" * 32 + "-00f067aa0ba902b7-01"])
def test_a_broken_traceparent_starts_a_new_trace(broken: str | None) -> None:
    with continue_trace(broken):
        assert trace_id() not in {None, "0" * 32}


def test_what_was_encoded_is_decoded() -> None:
    key, value, headers = encode(MESSAGE, "intake")
    message = Decoder([ComplaintSubmitted]).decode("complaints.v1", 3, 7, key, value, headers)
    assert message is not None
    assert (message.type, message.id, message.key, message.partition, message.offset) == (
        "ComplaintSubmitted", "id-1", "k", 3, 7,
    )  # fmt: skip
    assert message.body == MESSAGE.body


def test_a_known_type_without_use_is_passed_over() -> None:
    key, value, headers = encode(MESSAGE, "intake")
    assert Decoder([RatingGiven]).decode("t", 0, 0, key, value, headers) is None


@pytest.mark.parametrize(
    ("reason", "key", "value", "headers"),
    [
        ("no_type", b"k", b"", []),
        ("unknown_type", b"k", b"", [("ce_type", b"com.example.Thing")]),
        ("no_value", b"k", None, [("ce_type", b"pingxi.v1.ComplaintSubmitted")]),
        ("undecodable", b"k", b"\xff\xff", [("ce_type", b"pingxi.v1.ComplaintSubmitted")]),
        ("bad_key", b"\xff", b"", [("ce_type", b"pingxi.v1.ComplaintSubmitted")]),
    ],
)
def test_what_cannot_be_read_is_poison_with_a_reason(
    reason: str, key: bytes, value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    with pytest.raises(Poison) as poison:
        Decoder([ComplaintSubmitted]).decode("t", 0, 0, key, value, headers)
    assert poison.value.reason == reason
