"""How improbable a count is: tails of the Poisson distribution and of its mixture over an uncertain rate. Pure.

Everything is a natural logarithm, for what matters here is far below the smallest float (1e-300 and less).
"""

from math import exp, inf, lgamma, log, log1p

# Terms summed one by one; what is left is closed by a geometric series, from above.
_TERMS = 4000
_NEGLIGIBLE = 1e-15


def log_poisson_tail(count: int, mean: float) -> float:
    """ln P(N ≥ count) for a Poisson variable. Raises ValueError for a mean that isn't positive."""
    return log_tail(count, mean, inf)


def log_tail(count: int, mean: float, shape: float) -> float:
    """ln P(N ≥ count) where N is Poisson and its rate is Gamma distributed with that mean and shape.

    The shape is 1 / (relative variance of the rate); infinite: a rate known for sure, so plain Poisson. The mixture is
    the negative binomial distribution (Greenwood & Yule 1920; used for outbreaks by Noufaily et al. 2013, "An improved
    algorithm for outbreak detection in multiple surveillance systems"). Beyond 4,000 terms above the mean the result is
    an upper bound: never more alarming than the truth. Raises ValueError unless mean and shape are positive.
    """
    if not mean > 0 or not shape > 0:
        raise ValueError("mean and shape have to be positive")
    if count <= 0:
        return 0.0
    if count > mean:
        return min(0.0, _log_mass(count, mean, shape) + log(_upper(count, mean, shape)))
    below = _log_mass(count - 1, mean, shape) + log(_lower(count - 1, mean, shape))
    return log1p(-min(exp(below), 1.0 - 1e-16))


def _log_mass(count: int, mean: float, shape: float) -> float:
    """ln P(N = count)."""
    if shape == inf:
        return count * log(mean) - mean - lgamma(count + 1)
    share = mean / (shape + mean)
    return (
        lgamma(shape + count)
        - lgamma(shape)
        - lgamma(count + 1)
        - shape * log1p(mean / shape)
        + count * (log(share) if share > 0.5 else log(mean) - log(shape + mean))
    )


def _ratio(count: int, mean: float, shape: float) -> float:
    """P(N = count + 1) / P(N = count)."""
    if shape == inf:
        return mean / (count + 1)
    return mean / (shape + mean) * (shape + count) / (count + 1)


def _upper(count: int, mean: float, shape: float) -> float:
    """P(N ≥ count) / P(N = count) for a count above the mean, where masses fall."""
    total, term = 1.0, 1.0
    limit = 0.0 if shape == inf else mean / (shape + mean)
    for step in range(_TERMS):
        term *= _ratio(count + step, mean, shape)
        total += term
        if term < _NEGLIGIBLE * total:
            return total
    # Ratios run monotonically towards `limit`: the larger of both bounds them all.
    bound = max(_ratio(count + _TERMS, mean, shape), limit)
    return total + term * bound / (1.0 - bound)


def _lower(count: int, mean: float, shape: float) -> float:
    """P(N ≤ count) / P(N = count) for a count below the mean."""
    total, term = 1.0, 1.0
    for below in range(count - 1, -1, -1):
        term /= _ratio(below, mean, shape)
        total += term
        if term < _NEGLIGIBLE * total:
            break
    return total


def log_likelihood_ratio(count: float, mean: float) -> float:
    """How much better `count` is explained by a raised rate than by `mean`; 0 where it isn't raised.

    Kulldorff 1997, "A spatial scan statistic": the most likely cluster is the one with the greatest of these.
    """
    return count * log(count / mean) - (count - mean) if count > mean else 0.0
