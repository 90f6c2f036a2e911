"""The whole HTTP application on fakes, and a client that calls it."""

import json
from collections.abc import AsyncIterator

import httpx

from services.intake.schemas import ProblemBody
from tests.unit.intake.fakes import BODY, Bench, site_of

KEYS = {"app-key": "app", "hotline-key": "hotline", "service": "system"}


class Site:
    """`bench` is what the application stands on."""

    def __init__(self, bench: Bench | None = None) -> None:
        self.bench = bench or Bench()
        self.app = site_of(self.bench, KEYS.get)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://intake")

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = "app-key",
        content: bytes | AsyncIterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
        **parameters: str,
    ) -> httpx.Response:
        """One request, with a channel's key unless `key` is None."""
        sent = {} if key is None else {"authorization": f"Bearer {key}"}
        if body is not None:
            sent["content-type"] = "application/json"
            content = json.dumps(body).encode()
        sent |= headers or {}
        return await self.client.request(method, path, content=content, headers=sent, params=parameters)

    async def complain(self, **headers: str) -> tuple[str, str]:
        """Number and token of a fresh complaint."""
        receipt = (await self.call("POST", "/api/complaint", BODY, headers=headers)).json()
        return receipt["id"], receipt["token"]


def problem(response: httpx.Response, status: int, code: str) -> ProblemBody:
    """The problem document, which it has to be."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = ProblemBody.model_validate_json(response.content)
    assert (body.status, body.code) == (status, code)
    return body


def fields_of(body: ProblemBody) -> list[str]:
    """The fields it names."""
    assert body.errors is not None
    return [error.field for error in body.errors]


def names_the_body(response: httpx.Response, status: int, code: str) -> None:
    """A problem of the whole body, in the same form as one of a field."""
    body = problem(response, status, code)
    assert fields_of(body) == ["body"]
    assert body.errors is not None
    assert body.errors[0].message == body.detail
