"""The risk model as the service uses it: the forest that ships, or the rules where it is missing."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from services.sla.risk.facts import RiskFacts
from services.sla.risk.forest import Forest, load_forest
from services.sla.risk.promise import Habits, habits_of

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parent
FOREST, PROMISE = FOLDER / "forest.npz", FOLDER / "promise.json"


@dataclass(frozen=True)
class RiskModel:
    """Answers by the forest; without one, by the base rate of the hour and the distance."""

    habits: Habits
    forest: Forest | None

    def promised_minutes(self, facts: RiskFacts) -> int:
        """What a platform would promise, before it knows the courier."""
        return self.habits.promise(facts.hour, facts.distance_km)

    def late_probability(self, facts: RiskFacts, minutes: float, elapsed: float = 0.0) -> float:
        """How likely the order takes longer than `minutes`, having taken `elapsed` already. Both from the order on."""
        if elapsed >= minutes:
            return 1.0
        if self.forest is None:
            longer = self.habits.longer(facts.hour, facts.distance_km, minutes)
            still = self.habits.longer(facts.hour, facts.distance_km, elapsed) if elapsed > 0 else 1.0
        elif elapsed > 0:
            longer, still = self.forest.probabilities([facts.features(minutes), facts.features(elapsed)])
        else:
            (longer,), still = self.forest.probabilities([facts.features(minutes)]), 1.0
        return min(1.0, longer / still) if still > 0 else 1.0


def load_risk_model(forest: Path = FOREST, promise: Path = PROMISE) -> RiskModel:
    """What is stored beside this file. Raises ValueError where it is damaged."""
    habits = habits_of(json.loads(promise.read_text()))
    try:
        return RiskModel(habits, load_forest(forest))
    except FileNotFoundError:
        log.warning("no risk model: base rates of hour and distance instead", extra={"file": forest.name})
        return RiskModel(habits, None)
