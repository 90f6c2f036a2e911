"""Flags for those credibly worse than their peers, and for nobody else."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from services.sla.surge.detector import Brand
from services.sla.surge.model import Complaint, Flagged, Orders
from services.sla.surge.quality import beta_cdf, credibility, fit
from tests.unit.sla.surge.town import NOON, Town, us


@given(st.floats(0, 1), st.floats(0.05, 400), st.floats(0.05, 4000))
def test_the_beta_distribution_is_that_of_the_reference(x: float, a: float, b: float) -> None:
    assert beta_cdf(x, a, b) == pytest.approx(stats.beta.cdf(x, a, b), abs=1e-9)


def test_a_distribution_without_positive_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        beta_cdf(0.5, 0.0, 1.0)


def test_peers_that_are_alike_shrink_strongly_and_peers_that_differ_hardly() -> None:
    alike = [(2.0, 100.0)] * 30
    mean, strong = fit(alike)
    assert mean == pytest.approx(0.02)
    _, weak = fit([(0.0, 100.0)] * 15 + [(40.0, 100.0)] * 15)
    assert strong > 20 * weak
    assert fit([]) == (0.0, 50.0)


def test_one_of_one_says_little_and_thirty_of_a_hundred_much() -> None:
    assert credibility(1, 1, 0.02, 50, 0.04) < 0.5
    assert credibility(30, 100, 0.02, 50, 0.04) > 0.9999
    assert credibility(1, 1, 0.02, 50, 1.0) == 0.0


def trade(town: Town, merchant: str, orders: int, complaints: int, at_us: int = us(NOON)) -> None:
    """Delivered orders of a shop, and complaints about them."""
    town.orders(*[Orders(at_us, True, "r0", merchant, f"k-{merchant}", (f"p-{merchant}",)) for _ in range(orders)])
    town.each(
        Complaint(
            at_us, "product_quality", f"t-{merchant}-{at_us}-{n}", merchant=merchant, courier=f"k-{merchant}",
            product=f"p-{merchant}",
        )
        for n in range(complaints)
    )  # fmt: skip


def flags(town: Town) -> set[tuple[str, str]]:
    return {(e.dimension, e.value) for e in town.effects if isinstance(e, Flagged)}


def peers() -> Town:
    """Forty shops with a complaint in fifty orders."""
    town = Town(Brand("town"), offset=0)
    for number in range(40):
        trade(town, f"m{number}", 100, 2)
    return town


def test_a_shop_its_product_and_its_courier_are_flagged_when_a_fifth_of_its_orders_is_complained_about() -> None:
    town = peers()
    later = us(NOON + timedelta(hours=2))
    trade(town, "bad", 100, 20, later)
    assert flags(town) == {("merchant", "bad"), ("product", "p-bad"), ("courier", "k-bad")}
    [flag] = [e for e in town.effects if isinstance(e, Flagged) and e.dimension == "merchant"]
    assert flag.credibility > 0.999
    assert flag.rate > 2 * flag.peer_rate > 0


@pytest.mark.parametrize(("orders", "complaints"), [(1, 1), (3, 3), (5, 5), (100, 4), (1000, 25)])
def test_one_of_one_a_handful_or_a_little_more_than_usual_is_flagged_only_when_it_is_credible(
    orders: int, complaints: int
) -> None:
    town = peers()
    trade(town, "small", orders, complaints, us(NOON + timedelta(hours=2)))
    assert ("merchant", "small") not in flags(town)


def test_without_shrinkage_five_of_five_would_be_flagged() -> None:
    # A planted bug: the peers' distribution is nearly nothing, so that a value's own few orders decide.
    assert credibility(5, 5, 0.02, 0.1, 0.04) > 0.999
    assert credibility(5, 5, 0.02, 99.0, 0.04) < 0.999


def test_a_value_is_flagged_once_a_week() -> None:
    town = peers()
    for hours in (2, 3, 30):
        trade(town, "bad", 100, 20, us(NOON + timedelta(hours=hours)))
    weeks = [e.week for e in town.effects if isinstance(e, Flagged) and e.dimension == "merchant"]
    assert len(weeks) == len(set(weeks))
    trade(town, "bad", 100, 20, us(NOON + timedelta(days=8)))
    again = [e.week for e in town.effects if isinstance(e, Flagged) and e.dimension == "merchant"]
    assert len(again) == len(weeks) + 1


def test_old_trouble_is_forgotten() -> None:
    town = peers()
    trade(town, "once", 100, 12, us(NOON + timedelta(hours=2)))
    town.effects.clear()
    for number in range(40):
        trade(town, f"m{number}", 100, 2, us(NOON + timedelta(days=70)))
    trade(town, "once", 100, 5, us(NOON + timedelta(days=70)))
    assert ("merchant", "once") not in flags(town)
