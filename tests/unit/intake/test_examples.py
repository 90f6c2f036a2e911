"""The examples at /docs: what they send is taken, and what they show is what comes."""

from typing import Any

import pytest

from rules.model import Promise
from services.intake import examples, schemas
from services.intake.model import Progress
from tests.unit.intake.sites import Site


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (schemas.ReceiptBody, examples.RECEIPT),
        (schemas.ProgressBody, examples.PROGRESS),
        (schemas.CustomerPageBody, examples.PAGE),
        (schemas.MessageReceiptBody, examples.MESSAGE_RECEIPT),
        (schemas.RatingReceiptBody, examples.RATING_RECEIPT),
        (schemas.UploadBody, examples.UPLOAD),
    ],
)
def test_each_answer_is_of_its_shape(model: Any, example: dict[str, object]) -> None:
    model.model_validate(example)


async def test_each_request_is_taken_and_every_call_shows_one() -> None:
    site = Site()
    async with site.client:
        ticket_id, _ = await site.complain()
        site.bench.tickets.tickets[ticket_id] = Progress(ticket_id, "resolved", None, Promise(None, None))
        document = (await site.client.get("/docs")).json()
        shown = 0
        for path, methods in document["paths"].items():
            for method, call in methods.items():
                told = [p["schema"].get("example") for p in call["parameters"] if p.get("required")]
                body = call.get("requestBody", {}).get("content", {}).get("application/json")
                if body is not None:
                    real = path.replace("{ticket_id}", ticket_id).replace("{order_id}", "A-1001")
                    response = await site.call(method.upper(), real, body["example"])
                    assert response.status_code == 201, (path, response.text)
                    shown += 1
                answers = [each.get("content", {}) for status, each in call["responses"].items() if status < "300"]
                assert told or body or "image/jpeg" in str(call), path
                assert any("example" in str(each) or "binary" in str(each) or "event" in str(each) for each in answers)
        assert shown == 4
