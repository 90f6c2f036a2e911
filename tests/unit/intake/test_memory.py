from datetime import UTC, datetime

from rules.model import Category, Promise
from services.intake.memory import RecentKeys
from services.intake.model import Receipt

TRIED = datetime(2026, 11, 22, tzinfo=UTC)
RECEIPT = Receipt("id", "token", TRIED, Promise(None, None), Category.OTHER)


def test_a_key_is_remembered_for_its_time_and_no_longer() -> None:
    keys: RecentKeys[Receipt] = RecentKeys(keep_seconds=10)
    keys.put("a", "print", TRIED, RECEIPT, now=0)
    remembered = keys.get("a", now=9.9)
    assert remembered is not None
    assert remembered.receipt == RECEIPT
    assert keys.get("a", now=10) is None


def test_the_oldest_goes_first_when_there_are_too_many() -> None:
    keys: RecentKeys[Receipt] = RecentKeys(max_keys=2)
    for name in "abc":
        keys.put(name, "print", TRIED, None, now=0)
    assert [keys.get(name, now=1) is None for name in "abc"] == [True, False, False]


def test_what_is_over_age_takes_no_room() -> None:
    keys: RecentKeys[Receipt] = RecentKeys(max_keys=100, keep_seconds=10)
    for n in range(50):
        keys.put(str(n), "print", TRIED, None, now=0)
    keys.put("new", "print", TRIED, None, now=11)
    assert len(keys) == 1


def test_using_a_key_again_makes_it_young() -> None:
    keys: RecentKeys[Receipt] = RecentKeys(max_keys=2)
    keys.put("a", "print", TRIED, None, now=0)
    keys.put("b", "print", TRIED, None, now=0)
    keys.put("a", "print", TRIED, RECEIPT, now=1)
    keys.put("c", "print", TRIED, None, now=1)
    assert keys.get("b", now=2) is None
    assert keys.get("a", now=2) is not None
