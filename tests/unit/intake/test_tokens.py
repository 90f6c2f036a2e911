from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from rules.model import Category, Promise
from services.intake.tokens import full_token, keyed_token, read_token

SECRET, OTHER = b"s" * 32, b"o" * 32
ID, ELSE = "7K3M-9QXZ-4TPC-5", "0000-0000-0000-0"
AT = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
PROMISE = Promise(AT + timedelta(minutes=10), AT + timedelta(hours=24))


def test_a_full_token_says_what_was_promised() -> None:
    facts = read_token(SECRET, ID, full_token(SECRET, ID, Category.DELIVERY, AT, PROMISE))
    assert facts is not None
    assert (facts.declared_category, facts.acknowledged_at, facts.promise) == (Category.DELIVERY, AT, PROMISE)


def test_a_promise_may_be_partly_absent() -> None:
    facts = read_token(SECRET, ID, full_token(SECRET, ID, Category.OTHER, AT, Promise(None, AT)))
    assert facts is not None
    assert facts.promise == Promise(None, AT)


def test_a_token_of_a_key_is_the_same_at_any_time_and_says_the_category_only() -> None:
    token = keyed_token(SECRET, ID, Category.PRICE)
    assert token == keyed_token(SECRET, ID, Category.PRICE)
    facts = read_token(SECRET, ID, token)
    assert facts is not None
    assert (facts.declared_category, facts.acknowledged_at, facts.promise) == (
        Category.PRICE,
        None,
        Promise(None, None),
    )


def test_a_token_is_its_ticket_s_and_its_installation_s() -> None:
    for token in (keyed_token(SECRET, ID, Category.PRICE), full_token(SECRET, ID, Category.PRICE, AT, PROMISE)):
        assert read_token(SECRET, ELSE, token) is None
        assert read_token(OTHER, ID, token) is None


def test_no_changed_character_passes() -> None:
    token = full_token(SECRET, ID, Category.DELIVERY, AT, PROMISE)
    for position, letter in enumerate(token):
        changed = token[:position] + ("A" if letter != "A" else "B") + token[position + 1 :]
        assert read_token(SECRET, ID, changed) is None
    assert read_token(SECRET, ID, token[:-1]) is None
    assert read_token(SECRET, ID, token + "AAAA") is None


def test_a_token_fits_into_a_link() -> None:
    assert len(full_token(SECRET, ID, Category.DELIVERY, AT, PROMISE)) == 56
    assert len(keyed_token(SECRET, ID, Category.DELIVERY)) == 24


@given(st.text(max_size=200))
def test_any_other_text_is_no_token(text: str) -> None:
    assert read_token(SECRET, ID, text) is None
