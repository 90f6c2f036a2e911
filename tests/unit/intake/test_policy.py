from datetime import timedelta

import pytest

from services.intake.policy import bounded, customer_ref, fingerprint, may_name
from tests.unit.intake.fakes import NOW, submission

SECRET = b"s" * 32


@pytest.mark.parametrize(
    ("said", "believed"),
    [
        (None, timedelta(0)),
        (timedelta(minutes=-4), timedelta(minutes=-4)),
        (timedelta(days=-1), timedelta(minutes=-5)),
        (timedelta(days=1), timedelta(minutes=5)),
    ],
)
def test_a_client_s_time_is_believed_within_five_minutes(said: timedelta | None, believed: timedelta) -> None:
    assert bounded(None if said is None else NOW + said, NOW) == NOW + believed


def test_the_brand_s_customer_id_says_who_complains() -> None:
    assert customer_ref(SECRET, submission(customerId="u1")) == "u1"


def test_else_the_contact_does_without_being_told() -> None:
    ref = customer_ref(SECRET, submission(contact="138 0013 8000"))
    assert ref == customer_ref(SECRET, submission(contact="+8613800138000", description="别的"))
    assert ref.startswith("anon-")
    assert "13800138000" not in ref
    mail = customer_ref(SECRET, submission(contact="Li@Example.com"))
    assert mail == customer_ref(SECRET, submission(contact="li@example.com"))


def test_the_same_contact_is_another_customer_of_another_brand_and_installation() -> None:
    refs = [
        customer_ref(SECRET, submission()),
        customer_ref(SECRET, submission(brand="demo")),
        customer_ref(b"o" * 32, submission()),
    ]
    assert len(set(refs)) == 3


@pytest.mark.parametrize(
    "changed",
    [{"type": "配送"}, {"description": "别的"}, {"contact": "13800138001"}, {"orderId": "1"}, {"images": ["a"]},
     {"customerId": "u"}, {"region": "r"}, {"merchantId": "m"}, {"productId": "p"}, {"brand": "demo"},
     {"locale": "en"}, {"occurredAt": "2026-11-22T12:00:00Z"}],
)  # fmt: skip
def test_every_field_is_part_of_the_fingerprint(changed: dict[str, object]) -> None:
    assert fingerprint(SECRET, submission(**changed)) != fingerprint(SECRET, submission())


def test_a_fingerprint_repeats_and_needs_the_secret() -> None:
    assert fingerprint(SECRET, submission()) == fingerprint(SECRET, submission())
    assert fingerprint(SECRET, submission()) != fingerprint(b"o" * 32, submission())


def test_a_credential_speaks_for_its_channel_the_hotline_and_services_for_any() -> None:
    assert may_name("app", "app")
    assert not may_name("app", "hotline")
    assert may_name("hotline", "mail")
    assert may_name("system", "sms")
