"""`python -m services.sla risk`: rows of deliveries.csv on standard input, one JSON a line on standard output."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from typing import TextIO

from services.sla.risk.columns import BadCell, facts_of, missing
from services.sla.risk.model import RiskModel, load_risk_model


class BadInput(ValueError):
    """The input can't be answered; says where and why."""


def answers(lines: Iterable[str], model: RiskModel) -> Iterator[str]:
    """One JSON for each row, in their order, as each row comes. Raises BadInput, after the rows before it."""
    reader = csv.DictReader(lines, strict=True)
    rows = iter(reader)
    try:
        header = [name.strip().removeprefix("\ufeff") for name in reader.fieldnames or ()]
        if not header:
            raise BadInput("no header: the first line names the columns")
        if lacking := missing(header):
            raise BadInput(f"missing column {', '.join(lacking)}")
        if twice := sorted({name for name in header if header.count(name) > 1}):
            raise BadInput(f"column {', '.join(twice)} comes more than once")
        reader.fieldnames = header
        for number, row in enumerate(rows, start=1):
            # What the csv module has no column for, or no cell.
            if None in row or None in row.values():
                raise BadInput(f"row {number}: {'more' if None in row else 'fewer'} cells than columns")
            try:
                facts = facts_of(row)
            except BadCell as error:
                raise BadInput(f"row {number}, {error}") from error
            minutes = model.promised_minutes(facts)
            yield json.dumps(
                {
                    "promised_minutes": minutes,
                    "late_probability": round(model.late_probability(facts, minutes), 6),
                }
            )
    except csv.Error as error:
        raise BadInput(f"line {reader.line_num}: {error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"after line {reader.line_num}: not UTF-8") from error


def main(source: TextIO | None = None, target: TextIO | None = None) -> int:
    """Answers standard input; 2 with the reason on standard error where it can't."""
    source, target = source or sys.stdin, target or sys.stdout
    model = load_risk_model()
    try:
        for answer in answers(source, model):
            target.write(answer + "\n")
            target.flush()
    except BadInput as error:
        sys.stderr.write(f"risk: {error}\n")
        return 2
    except BrokenPipeError:
        return 1
    return 0
