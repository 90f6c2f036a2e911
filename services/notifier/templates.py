"""The templates under `policies/<brand>/templates/<event>.<locale>.j2`, checked whole before any is used.

A template prints values and chooses between sentences: no calls, no loops, no includes, no attributes. A brand without
a file of its own uses that of the brand it extends, at last `default`'s. A line break in a template is layout: in
Chinese it vanishes, in English it is a space.
"""

import re
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import SandboxedEnvironment

from common.errors import FieldProblem, Invalid, Poison
from rules.model import PolicySet
from services.notifier.labels import LOCALES
from services.notifier.model import Event, Fact, Notification, Way
from services.notifier.samples import NOW, samples
from services.notifier.texts import ALLOWED, Speaker, best_locale, speaker, values

_FALLBACK = "default"
_LAYOUT = re.compile(r"\s*\n\s*")
_FILTERS = frozenset({"capitalize", "default", "join", "length", "lower", "replace", "title", "trim", "upper"})
_TESTS = frozenset({"defined", "none", "string", "number"})
_WORDS: tuple[type[nodes.Node], ...] = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If, nodes.CondExpr),
    *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Filter, nodes.Test, nodes.Tuple, nodes.List),
)


@dataclass(frozen=True, order=True)
class TemplateProblem:
    """What is wrong in which line."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


class TemplatesError(Exception):
    """The templates can't be used; `problems` holds every reason."""

    def __init__(self, problems: list[TemplateProblem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))


class Templates:
    """The voices of all brands. Implements the port Writer."""

    def __init__(self, speakers: Mapping[str, Speaker], templates: Mapping[tuple[str, Event, str], Template]) -> None:
        self._speakers = speakers
        self._templates = templates
        self._samples = samples()

    def locale(self, brand: str, wanted: str) -> str:
        """The language a message is written in. Raises Poison for an unknown brand."""
        return best_locale(wanted, self._speaker(brand).locale)

    def write(self, notification: Notification, way: Way, locale: str, now: datetime, text: str) -> str:
        """The whole message. Raises Poison for an unknown brand."""
        found = values(notification, self._speaker(notification.brand), way, locale, now, text)
        return _print(self._templates[notification.brand, notification.event, locale], found)

    def preview(
        self, brand: str, event: Event, way: Way, locale: str, facts: Mapping[str, Fact], given: Mapping[str, str]
    ) -> str:
        """A message with `facts` of a ticket and `given` values, else samples. Raises Invalid, naming the field."""
        voice = self._speakers.get(brand)
        if voice is None:
            raise Invalid([FieldProblem("brand", "there is no such brand")])
        unknown = sorted(set(given) - set(ALLOWED[event]))
        if unknown:
            raise Invalid([FieldProblem(f"values.{name}", "no value of this event") for name in unknown])
        sample, text = self._samples[event][0]
        known = {name: fact for name, fact in facts.items() if name in sample.facts}
        shown = replace(sample, brand=brand, facts={**sample.facts, **known})
        locale = best_locale(locale, voice.locale)
        found = values(shown, voice, way, locale, NOW, text)
        return _print(self._templates[brand, event, locale], {**found, **given})

    def _speaker(self, brand: str) -> Speaker:
        found = self._speakers.get(brand)
        if found is None:
            raise Poison("unknown_brand", brand[:40])
        return found


def load_templates(root: Path, policies: Mapping[str, PolicySet]) -> Templates:
    """All templates of all brands. Raises TemplatesError with everything wrong in any of them, used or not."""
    environment = SandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    problems: list[TemplateProblem] = []
    speakers = {brand: speaker(found) for brand, found in policies.items()}
    own: dict[tuple[str, Event, str], Template] = {}
    for brand in policies:
        for path in sorted((root / brand / "templates").glob("*")):
            event, locale = _named(path)
            if event is None or locale is None:
                expected = f"<event>.<locale>.j2 with {', '.join(Event)} and {', '.join(LOCALES)}"
                problems.append(TemplateProblem(str(path), 1, f"expected {expected}"))
                continue
            try:
                template = _read(environment, path, event, locale)
                _try(template, path, event, locale, speakers[brand])
                own[brand, event, locale] = template
            except TemplatesError as error:
                problems += error.problems
    if problems:
        raise TemplatesError(problems)
    templates: dict[tuple[str, Event, str], Template] = {}
    for brand, found in policies.items():
        line = (brand, found.brand.extends or _FALLBACK, _FALLBACK)
        for event in Event:
            for locale in LOCALES:
                chosen = next((own[b, event, locale] for b in line if (b, event, locale) in own), None)
                if chosen is None:
                    path = root / brand / "templates" / f"{event}.{locale}.j2"
                    problems.append(TemplateProblem(str(path), 1, f"expected this file, or the same in {_FALLBACK}"))
                else:
                    templates[brand, event, locale] = chosen
    if problems:
        raise TemplatesError(problems)
    return Templates(speakers, templates)


def _named(path: Path) -> tuple[Event | None, str | None]:
    event, _, rest = path.name.partition(".")
    locale = rest.removesuffix(".j2")
    known = rest.endswith(".j2") and event in set(Event) and locale in LOCALES
    return (Event(event), locale) if known else (None, None)


def _read(environment: SandboxedEnvironment, path: Path, event: Event, locale: str) -> Template:
    try:
        tree = environment.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except UnicodeDecodeError as error:
        raise TemplatesError([TemplateProblem(str(path), 1, "expected UTF-8")]) from error
    except TemplateSyntaxError as error:
        raise TemplatesError([TemplateProblem(str(path), error.lineno, str(error.message))]) from error
    problems = [TemplateProblem(str(path), line, what) for line, what in _findings(tree, event)]
    if problems:
        raise TemplatesError(problems)
    for data in tree.find_all(nodes.TemplateData):
        data.data = _LAYOUT.sub(" " if locale == "en" else "", data.data)
    code = environment.compile(tree, filename=str(path))
    return Template.from_code(environment, code, environment.make_globals(None))


def _findings(tree: nodes.Template, event: Event) -> Iterator[tuple[int, str]]:
    """Also of branches no sample takes."""
    for node in tree.find_all(nodes.Node):
        if isinstance(node, nodes.Getattr | nodes.Getitem):
            what = node.attr if isinstance(node, nodes.Getattr) else "[…]"
            yield node.lineno, f"reaches into a value ({what}): a template prints values, nothing else"
        elif isinstance(node, nodes.Name):
            if node.name not in ALLOWED[event]:
                yield node.lineno, f"unknown variable {node.name}: expected one of {', '.join(ALLOWED[event])}"
        elif isinstance(node, nodes.Filter | nodes.Test):
            kind, known = ("filter", _FILTERS) if isinstance(node, nodes.Filter) else ("test", _TESTS)
            if node.name not in known:
                yield node.lineno, f"unknown {kind} {node.name}: expected one of {', '.join(sorted(known))}"
        elif not isinstance(node, (*_WORDS, nodes.Pair, nodes.Keyword)):
            yield node.lineno, f"{type(node).__name__.lower()} isn't allowed here: print values and choose with if"


def _try(template: Template, path: Path, event: Event, locale: str, voice: Speaker) -> None:
    for notification, text in samples()[event]:
        for way in Way if notification.personal else notification.ways:
            found = values(notification, voice, way, locale, NOW, text)
            try:
                printed = _print(template, found)
            except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
                lines = [
                    frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
                ]
                line = (lines[-1] if lines else None) or 1
                raise TemplatesError([TemplateProblem(str(path), line, str(error))]) from error
            if not printed:
                raise TemplatesError([TemplateProblem(str(path), 1, "prints nothing for a sample message")])


def _print(template: Template, found: Mapping[str, object]) -> str:
    return template.render(found).strip()
