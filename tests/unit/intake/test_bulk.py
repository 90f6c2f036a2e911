"""Bulk import: every line has its answer, and the command may be said again."""

import io
import json
from collections.abc import AsyncIterator, Sequence

import grpc
import pytest

from gen.pingxi.v1.intake_pb2 import FieldError, SubmitComplaintResponse, SubmitComplaintsResponse
from services.intake.bulk import Line, Telling, lines_of, run

GOOD = {"type": "配送", "description": "晚了", "contact": "13800138000"}


def texts(*rows: object) -> list[str]:
    return [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) + "\n" for row in rows]


def test_the_same_line_has_the_same_key_and_twice_the_same_line_are_two_complaints() -> None:
    first = [line.request.idempotency_key for line in lines_of(texts(GOOD, GOOD, "\n")) if line.request]
    again = [line.request.idempotency_key for line in lines_of(texts(GOOD, GOOD)) if line.request]
    assert first == again
    assert len(set(first)) == 2


def test_a_key_of_the_line_s_own_is_kept() -> None:
    (line,) = lines_of(texts({**GOOD, "idempotencyKey": "k"}))
    assert line.request is not None
    assert line.request.idempotency_key == "k"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{", "isn't a JSON object"),
        ("[1]", "isn't a JSON object"),
        ('{"contact": 13800138000}', "contact: must be a text"),
        ('{"images": "u1"}', "images: must be a list of texts"),
        ('{"phone": "13800138000"}', "phone: is not a known field"),
        ('{"13800138000": 1}', "*: is not a known field"),
        ('{"contact": "\\ud800"}', "contact: must be a text"),
        ('{"occurredAt": "13800138000"}', "occurredAt: must be a date and time as in RFC 3339"),
    ],
)
def test_a_wrong_line_is_named_without_its_content(text: str, wrong: str) -> None:
    (line,) = lines_of([text])
    assert (line.number, line.request, line.wrong) == (1, None, wrong)


class Edge:
    """An intake that answers as it is told: by line number, one code each time ("" accepts)."""

    def __init__(self, **codes: list[str]) -> None:
        self.codes = {int(number.removeprefix("line")): each for number, each in codes.items()}
        self.breaks: list[int] = []
        self.keys: list[str] = []

    async def send(self, lines: Sequence[Line]) -> AsyncIterator[SubmitComplaintsResponse]:
        breaks_at = self.breaks.pop(0) if self.breaks else None
        for index, line in enumerate(lines):
            if index == breaks_at:
                raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata())
            assert line.request is not None
            code = (self.codes.get(line.number) or [""]).pop(0) if self.codes.get(line.number) else ""
            if not code:
                self.keys.append(line.request.idempotency_key)
            errors = [FieldError(field="contact", message="must not be blank")] if code == "invalid" else []
            accepted = SubmitComplaintResponse(id=f"T{line.number}") if not code else None
            yield SubmitComplaintsResponse(index=index, accepted=accepted, code=code, errors=errors)


async def imported(edge: Edge, rows: list[str]) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    say = Telling(len(rows), out, err)
    outcome = await run(lines_of(rows), edge.send, say, pause=0)
    say.end(outcome)
    return out.getvalue(), err.getvalue()


async def test_every_line_has_its_answer() -> None:
    rows = texts(*({**GOOD, "orderId": f"A-{n}"} for n in range(3)), "{")
    out, err = await imported(Edge(line2=["invalid"], line3=["idempotency_conflict"]), rows)
    assert [json.loads(row) for row in out.splitlines()] == [{"line": 1, "id": "T1"}]
    assert "line 2: contact: must not be blank" in err
    assert "line 3: idempotency_conflict" in err
    assert "line 4: isn't a JSON object" in err
    assert err.endswith("accepted 1, refused 3\n")
    assert "13800138000" not in err


async def test_what_has_to_wait_and_what_a_lost_connection_left_is_sent_again() -> None:
    rows = texts(*({**GOOD, "orderId": f"A-{n}"} for n in range(6)))
    edge = Edge(line1=["rate_limited", "unavailable"])
    edge.breaks = [3]
    out, err = await imported(edge, rows)
    assert sorted(json.loads(row)["line"] for row in out.splitlines()) == [1, 2, 3, 4, 5, 6]
    assert len(set(edge.keys)) == len(edge.keys) == 6
    assert "accepted 6, refused 0" in err


async def test_an_intake_that_takes_nothing_is_given_up_with_the_line_to_go_on_from() -> None:
    edge = Edge()
    edge.breaks = [1] + [0] * 100
    _, err = await imported(edge, texts(*({**GOOD, "orderId": f"A-{n}"} for n in range(3))))
    assert "not taken from line 2 on" in err


async def test_progress_is_shown_as_it_goes() -> None:
    rows = texts(*({**GOOD, "orderId": f"A-{n}"} for n in range(20)))
    _, err = await imported(Edge(), rows)
    assert [line.split()[1] for line in err.splitlines() if line.startswith("[")] == [
        f"{percent}%" for percent in (5, *range(10, 101, 10))
    ]
