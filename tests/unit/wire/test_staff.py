"""Staff comes back from the wire as it was."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen.pingxi.v1 import staff_pb2, ticket_pb2
from rules.staff import ROLES, Person, Queue, Record, Rota, Shift
from tests.contract.golden import goldens, parse
from wire.staff import record_from_proto, record_to_proto, rota_from_proto

words = st.lists(st.text(max_size=9), max_size=3).map(tuple)
instants = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
people = st.builds(
    Person,
    **{name: st.text(max_size=9) for name in ("id", "name", "working_hours")},
    **dict.fromkeys(("brands", "queues", "skills"), words),
    role=st.sampled_from(ROLES),
    capacity=st.integers(0, 99),
    version=st.integers(0, 99),
)
queues = st.builds(Queue, leads=words, joint_with=words, version=st.integers(0, 99))
shifts = st.builds(Shift, person_id=st.text(max_size=9), start=instants, end=instants)
rotas = st.builds(Rota, shifts=st.lists(shifts, max_size=3).map(tuple), version=st.integers(0, 99))


@given(st.one_of(people, queues, rotas))
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    assert record_from_proto(record_to_proto(record)) == record


def test_the_examples_of_the_contract_are_read_whole() -> None:
    examples = [golden for golden in goldens() if golden.topic == "staff.v1"]
    assert examples
    for golden in examples:
        record = record_from_proto(parse(golden))
        assert record.key == golden.key
        # Whatever the example says is in the record: nothing is lost on the way.
        assert len(record_to_proto(record).ListFields()) >= len(parse(golden).ListFields())
        assert {f.name for f in fields(record)} == {f.name for f in parse(golden).DESCRIPTOR.fields}


def test_a_shift_without_an_end_is_refused() -> None:
    shift = staff_pb2.Shift(person_id="lin")
    shift.start.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=1))
    with pytest.raises(ValueError, match="start and end"):
        rota_from_proto(staff_pb2.Rota(shifts=[shift]))


def test_anything_else_is_no_staff() -> None:
    with pytest.raises(ValueError, match="TicketEvent"):
        record_from_proto(ticket_pb2.TicketEvent())
