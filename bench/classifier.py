"""How long the router's reading of a text takes on one core: category, urgency, anger, intent, products.

The texts are those that the model is measured by. The reference looks up the policy's words alone, in the same texts.
"""

from collections.abc import Callable, Sequence
from statistics import mean

from bench.figures import Result, beside
from bench.load import cpu_seconds
from bench.progress import Progress
from common.policyfiles import load_brand
from deploy.local.settings import ROOT
from rules.text import normalise
from services.router.reading import Reader
from training.corpus import TEXTS, read

RUNS = 5


async def microseconds(short: bool, progress: Progress) -> Sequence[Result]:
    """`classifier`: µs of a core a text."""
    texts = [row.text for path in sorted(TEXTS.glob("held_out_*.jsonl")) for row in read(path)]
    texts, runs = (texts[::10], 3) if short else (texts, RUNS)
    policies = load_brand(ROOT / "policies" / "default")
    reader = Reader()

    def words(text: str) -> None:
        policies.keywords.match(normalise(text))

    def whole(text: str) -> None:
        reader.read(policies, text)

    _each(whole, texts[:50])
    pairs = []
    for run in range(1, runs + 1):
        pairs.append((_each(whole, texts), _each(words, texts)))
        progress.step("runs", run, runs)
    return [
        beside(
            "classifier",
            pairs,
            "µs",
            "the policy's words alone in the same texts",
            "Python takes the text apart into n-grams; the model itself is a sum",
            texts=float(len(texts)),
            characters=mean(map(len, texts)),
        )
    ]


def _each(work: Callable[[str], None], texts: Sequence[str]) -> float:
    began = cpu_seconds()
    for text in texts:
        work(text)
    return (cpu_seconds() - began) / len(texts) * 1e6
