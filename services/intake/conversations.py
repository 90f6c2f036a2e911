"""Channels on which the customer writes and is answered at once: texts and WeChat."""

from collections.abc import Mapping
from dataclasses import dataclass

from common.errors import Unavailable
from rules import number
from rules.model import PolicySet
from services.intake.handlers import Intake
from services.intake.model import Locale, Receipt, Submission
from services.intake.ports import CustomerTickets
from services.intake.sayings import say, say_progress, say_received
from services.intake.sms import asks


@dataclass(frozen=True)
class Answer:
    """`reply` is for the customer; with `receipt` what he wrote is in the log, else it was only a question."""

    reply: str
    receipt: Receipt | None = None


class Conversations:
    """What somebody wrote is a complaint, a further word to one, or a command."""

    def __init__(self, intake: Intake, tickets: CustomerTickets, policies: Mapping[str, PolicySet]) -> None:
        self._intake = intake
        self._tickets = tickets
        self._policies = policies

    async def take(self, submission: Submission, key: str, part: str = "") -> Answer:
        """What he wrote is answered or in the log when this returns. Raises what `Intake.submit` raises."""
        brand = self._policies[submission.brand].brand
        question = None if part else asks(submission.description)
        if question is not None:
            return Answer(await self._progress(submission, question.number))
        receipt = await self._intake.submit(submission, submission.channel, key, part=part)
        return Answer(say_received(receipt, brand, submission.locale), receipt)

    async def _progress(self, submission: Submission, asked: str) -> str:
        brand, locale = self._policies[submission.brand].brand, submission.locale
        ticket_id = number.parse(asked) or ""
        if asked and not ticket_id:
            return say("mistyped", brand, locale)
        try:
            found = await self._tickets.of(submission.contact, ticket_id)
        except Unavailable:
            return say("later", brand, locale)
        return say("none", brand, locale) if found is None else say_progress(found, brand, locale)

    def greeting(self, brand: str, locale: Locale) -> str:
        """To somebody who has just begun to follow us."""
        return say("hello", self._policies[brand].brand, locale)

    def unreadable(self, brand: str, locale: Locale) -> str:
        """What was sent isn't text, a picture or a voice message."""
        return say("unreadable", self._policies[brand].brand, locale)

    def again(self, brand: str, locale: Locale) -> str:
        """What was sent couldn't be put into the log."""
        return say("again", self._policies[brand].brand, locale)
