"""`python -m services.router classify`: one text a line on standard input, one JSON a line on standard output.

    {"category": …, "secondary": [], "urgent": …, "angry": …, "sentiment": …, "confidence": …, "intent": …}

What the router decides of a complaint with that text where the customer chose no type. PINGXI_BRAND names the policies
whose words count (default: default), PINGXI_POLICIES where they are.
"""

import json
import sys
from typing import TextIO

from common.policyfolder import PolicyFolder
from common.settings import load_settings
from rules.model import PolicySet
from rules.routing import decide
from services.router.ports import Reads
from services.router.reading import Reader
from services.router.settings import ClassifySettings
from services.router.understanding import facts_of


def classified(reads: Reads, policies: PolicySet, text: str) -> dict[str, object]:
    """The row of a text."""
    found = reads.read(policies, text)
    decision = decide(policies, facts_of(found, text, policies.brand.key, "", None))
    return {
        "category": decision.category,
        "secondary": list(decision.secondary),
        "urgent": decision.urgent,
        "angry": decision.angry,
        "sentiment": found.sentiment,
        "confidence": found.confidence,
        "intent": found.intent,
        "sentimentScore": found.good,
        "keywords": list(found.keywords),
        "products": list(found.products),
    }


def write_rows(reads: Reads, policies: PolicySet, texts: TextIO, out: TextIO) -> None:
    """A row a line, each as soon as its text is there; an empty line has one too, so that lines keep their numbers."""
    for line in texts:
        row = classified(reads, policies, line.rstrip("\r\n"))
        out.write(json.dumps(row, ensure_ascii=False) + "\n")
        out.flush()


def main() -> int:
    """The command; 2 where the brand has no policies."""
    settings = load_settings(ClassifySettings)
    policies = PolicyFolder(settings.policies).policies.get(settings.brand)
    if policies is None:
        sys.stderr.write(f"PINGXI_BRAND: there is no brand {settings.brand!r}\n")
        return 2
    for stream in (sys.stdin, sys.stdout):
        stream.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # whatever the terminal says
    write_rows(Reader(), policies, sys.stdin, sys.stdout)
    return 0
