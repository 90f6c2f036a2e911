"""The heap of due times."""

from services.sla.timers import Timers


def test_timers_come_in_the_order_of_their_times_and_only_when_due() -> None:
    timers = Timers()
    timers.open(0)
    timers.add(0, 20, b"b")
    timers.extend(0, [(30, b"c"), (10, b"a")])
    assert timers.earliest() == 10
    assert timers.pop_due(0, 20, 10) == [(10, b"a"), (20, b"b")]
    assert timers.pop_due(0, 29, 10) == []
    assert timers.sizes() == {0: 1}


def test_only_so_many_at_once() -> None:
    timers = Timers()
    timers.open(0)
    timers.extend(0, [(n, b"k") for n in range(10)])
    assert len(timers.pop_due(0, 100, 3)) == 3
    assert timers.sizes() == {0: 7}


def test_timers_of_a_partition_that_is_elsewhere_are_the_owners() -> None:
    timers = Timers()
    timers.add(4, 1, b"k")
    assert timers.earliest() is None
    timers.open(4)
    timers.add(4, 1, b"k")
    timers.drop(4)
    timers.extend(4, [(1, b"k")])
    assert timers.pop_due(4, 100, 10) == []


def test_what_was_sent_counts_until_it_is_judged_and_goes_with_its_partition() -> None:
    timers = Timers()
    timers.open(0)
    timers.sent(0, b"a", 10)
    timers.sent(0, b"b", 20)
    timers.sent(0, b"a", 99)
    assert timers.earliest() == 10
    timers.judged(0, b"a")
    assert timers.earliest() == 20
    timers.drop(0)
    timers.sent(0, b"c", 1)
    assert timers.earliest() is None
