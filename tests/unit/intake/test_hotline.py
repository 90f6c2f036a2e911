"""The hotline's console."""

from collections.abc import AsyncIterator

import pytest

from rules.number import from_random
from tests.unit.intake.channels import Channels

NUMBER = from_random(987654321987)


@pytest.fixture
async def channels() -> AsyncIterator[Channels]:
    channels = Channels()
    async with channels.client:
        yield channels


async def test_a_call_is_a_complaint_with_what_the_telephone_knows(channels: Channels) -> None:
    recording = "https://calls.example.com/r/1"
    response = await channels.call(recording=recording, orderId="o-1", customerId="c-1", ticketId=NUMBER.lower())
    assert response.status_code == 201
    (complaint,) = channels.complaints
    assert response.json()["id"] == complaint.ticket_id
    assert response.json()["token"]
    sent = complaint.submission
    assert (sent.channel, sent.order_id, sent.customer_id, sent.thread_ticket) == ("hotline", "o-1", "c-1", NUMBER)
    assert dict(sent.channel_facts) == {"call_id": "call-1", "operator": "op-7", "recording": recording}


async def test_the_same_call_twice_is_one(channels: Channels) -> None:
    first, again = await channels.call(), await channels.call()
    assert first.json() == again.json()
    assert len(channels.complaints) == 1
    assert (await channels.call(callId="call-2")).json()["id"] != first.json()["id"]
    assert (await channels.call(description="别的")).status_code == 409


@pytest.mark.parametrize(("key", "status"), [("app-key", 403), ("nobody", 401), ("", 401), ("service", 201)])
async def test_only_the_hotline_takes_calls(channels: Channels, key: str, status: int) -> None:
    assert (await channels.call(key)).status_code == status


async def test_every_wrong_field_is_named_at_once(channels: Channels) -> None:
    response = await channels.call(
        callId=None, operator=" ", recording="javascript:1", ticketId="1", contact="12", extra=1, channel="sms"
    )
    assert response.status_code == 422
    named = {error["field"] for error in response.json()["errors"]}
    assert named == {"callId", "operator", "recording", "ticketId", "contact", "extra"}
