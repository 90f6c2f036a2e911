"""What the scores of a text mean for its ticket. Pure; the numbers are argued for in docs/adr/0009-understanding.md."""

from collections.abc import Mapping
from dataclasses import dataclass

from rules.model import ComplaintFacts
from rules.words import Category
from services.router.model import Understanding

# What people tick on the form (商品质量, 配送, 价格, 客服态度, 其他) when their complaint is about …: parts of a whole.
_TICKED: Mapping[Category, Mapping[Category, float]] = {
    of: dict(
        zip(
            (
                Category.PRODUCT_QUALITY,
                Category.DELIVERY,
                Category.PRICE,
                Category.SERVICE_ATTITUDE,
                Category.OTHER,
            ),
            parts,
            strict=True,
        )
    )
    for of, parts in {
        Category.PRODUCT_QUALITY: (0.84, 0.04, 0.03, 0.02, 0.07),
        Category.DELIVERY: (0.03, 0.82, 0.02, 0.05, 0.08),
        Category.PRICE: (0.05, 0.03, 0.80, 0.03, 0.09),
        Category.PROMOTION: (0.03, 0.02, 0.45, 0.05, 0.45),
        Category.SERVICE_ATTITUDE: (0.03, 0.15, 0.02, 0.70, 0.10),
        Category.SYSTEM: (0.02, 0.07, 0.07, 0.07, 0.77),
        Category.MISSING_OR_WRONG: (0.38, 0.32, 0.04, 0.03, 0.23),
        Category.FOOD_SAFETY: (0.72, 0.03, 0.02, 0.03, 0.20),
        Category.OTHER: (0.05, 0.09, 0.06, 0.08, 0.72),
    }.items()
}
# One in five ticks whatever is nearest to the thumb.
_HASTY = 0.2
# A code of a category that no form offers comes from a program or an operator who knows the list.
_KNOWN_LIST, _KNOWN_LIST_ELSE = 0.85, 0.15 / 8
# There is no form: "other" was filled in by the channel.
_WITHOUT_FORM = frozenset({"sms", "mail", "wechat"})

FOLLOW_FROM = 0.5
# Where nothing was chosen: a guess among nine is better than none, but for a text that says nothing.
GUESS_FROM = 0.2
SECONDARY_FROM = 0.12
# Low: an urgent complaint that is missed costs more than a calm one that is looked at first.
URGENT_FROM = 0.23
ANGRY_FROM = 0.3
INTENT_FROM = 0.4
NEUTRAL = (0.47, 0.53)


@dataclass(frozen=True)
class Seen:
    """What rules and model saw in a text. `words`: groups of the policy with the terms that hit."""

    words: Mapping[str, list[str]]
    category: Mapping[Category, float]
    intent: Mapping[str, float]
    angry: float
    urgent: float
    good: float
    products: tuple[str, ...] = ()
    model: str = ""


def chosen(declared: Category | None, channel: str) -> Category | None:
    """What the customer chose himself, None where he couldn't."""
    return None if declared is Category.OTHER and channel in _WITHOUT_FORM else declared


def believed(category: Mapping[Category, float], declared: Category | None) -> dict[Category, float]:
    """The probabilities of a text together with what was declared (Bayes' rule); they add up to 1."""
    if declared is None:
        return dict(category)
    weighed = {each: share * _likelihood(declared, each) for each, share in category.items()}
    whole = sum(weighed.values())
    return {each: share / whole for each, share in weighed.items()}


def _likelihood(declared: Category, of: Category) -> float:
    if declared in _TICKED[of]:
        return (1 - _HASTY) * _TICKED[of][declared] + _HASTY / len(_TICKED[of])
    return _KNOWN_LIST if declared is of else _KNOWN_LIST_ELSE


def understand(seen: Seen, declared: Category | None, channel: str, anger_groups: tuple[str, ...]) -> Understanding:
    """Everything but the n-grams that decided (`features`), which are looked up for the category found.

    Declared food safety is never talked out of. Below `FOLLOW_FROM` what was declared stays; where nothing was, the
    likeliest is better than nothing.
    """
    ticked = chosen(declared, channel)
    shares = believed(seen.category, ticked)
    best = max(shares, key=lambda each: shares[each])
    if ticked is None:
        followed = shares[best] >= GUESS_FROM
    else:
        followed = shares[best] >= FOLLOW_FROM and ticked is not Category.FOOD_SAFETY
    category = best if followed else ticked or Category.OTHER
    further = sorted(shares, key=lambda each: -shares[each])
    by_words = any(group in seen.words for group in anger_groups)
    return Understanding(
        category=category,
        confidence=round(shares[category], 4),
        followed=followed,
        declared=declared,
        secondary=tuple(each for each in further if each is not category and shares[each] >= SECONDARY_FROM),
        urgent=seen.urgent >= URGENT_FROM,
        angry=seen.angry >= ANGRY_FROM or by_words,
        sentiment=_sentiment(seen.good),
        good=round(seen.good, 4),
        intent=_intent(seen.intent),
        keywords=tuple(dict.fromkeys(term for terms in seen.words.values() for term in terms)),
        features=(),
        products=seen.products,
        model=seen.model,
    )


def _sentiment(good: float) -> str:
    if NEUTRAL[0] <= good < NEUTRAL[1]:
        return "neutral"
    return "positive" if good >= NEUTRAL[1] else "negative"


def _intent(shares: Mapping[str, float]) -> str:
    """A complaint, unless it is something else: a complaint taken for thanks is the worse mistake."""
    best = max(shares, key=lambda each: shares[each])
    return best if shares[best] >= INTENT_FROM else "complaint"


def facts_of(understanding: Understanding, text: str, brand: str, channel: str, declared: str | None) -> ComplaintFacts:
    """What routing goes by."""
    return ComplaintFacts(
        declared=declared,
        text=text,
        brand=brand,
        channel=channel,
        suggested=understanding.category if understanding.followed else None,
        also=understanding.secondary,
        reads_urgent=understanding.urgent,
        reads_angry=understanding.angry,
    )
