"""Prepares a machine's answer to what a customer has said; whether it is given is decided where the ticket changes."""

from dataclasses import replace
from datetime import datetime

from common.clock import Clock
from rules.model import PolicySet, RoutingDecision
from rules.routing import decide
from services.router.answering import (
    FRESH,
    answer_text,
    calls_person,
    known,
    locale_of,
    may_answer,
    needs_order,
    topic_of,
)
from services.router.commands import Answer, ReceiveMessage, Told
from services.router.model import Personal, Ticket, Understanding
from services.router.ports import Orders, Policies, Reads, Vault
from services.router.retrieval import Retrieval
from services.router.understanding import facts_of

# Versions in force at a time: one a brand, and those that are going.
_KEPT = 64


class Answerer:
    """Thin: gathers policies, understanding and order facts for the decisions in answering.py."""

    def __init__(self, policies: Policies, vault: Vault, clock: Clock, reads: Reads, orders: Orders) -> None:
        self._policies = policies
        self._vault = vault
        self._clock = clock
        self._reads = reads
        self._orders = orders
        self._retrievals: dict[str, Retrieval] = {}

    async def at_opening(
        self, ticket: Ticket, text: str, found: Understanding, decision: RoutingDecision
    ) -> Answer | None:
        """The answer to what a ticket was opened with, None where a machine has none."""
        policies = self._policies.of(ticket.brand)
        if policies is None or calls_person(policies.answers, text):
            return None
        return await self._answer(policies, ticket, text, found, decision, ticket.facts.acknowledged_at)

    async def prepared(self, ticket: Ticket, told: Told) -> Told:
        """What was said to `ticket` (and is sealed for it), with the answer a machine has for it, and whether a person
        is called for. Raises Poison where it doesn't open."""
        command, policies = told.command, self._policies.of(ticket.brand)
        if not isinstance(command, ReceiveMessage) or policies is None or not policies.answers.enabled:
            return told
        text = self._vault.open(ticket.id, command.content).text
        called = calls_person(policies.answers, text)
        answer = None
        if not called and not command.thanks and may_answer(ticket):
            found = self._reads.read(policies, text, None, command.channel)
            facts = facts_of(found, text, ticket.brand, ticket.channel, ticket.category)
            answer = await self._answer(policies, ticket, text, found, decide(policies, facts), told.cause.at)
        return replace(told, command=replace(command, answer=answer, calls_person=called))

    async def _answer(
        self,
        policies: PolicySet,
        ticket: Ticket,
        text: str,
        found: Understanding,
        decision: RoutingDecision,
        asked_at: datetime,
    ) -> Answer | None:
        now = self._clock.now()
        if not policies.answers.enabled or not may_answer(ticket) or now - asked_at > FRESH:
            return None
        topic = topic_of(policies.answers, self._retrieval(policies).nearest(text), found, decision)
        if topic is None:
            return None
        order = None
        if ticket.order_id and ticket.customer_id and needs_order(topic):
            order = await self._orders.order(ticket.brand, ticket.order_id)
        locale = locale_of(ticket, policies.brand, text)
        values = known(order, ticket.customer_id, locale, policies.brand.time_zone, now)
        spoken = answer_text(policies.answers, topic, values, locale)
        return Answer(topic.name, self._vault.seal(ticket.id, Personal(text=spoken)), max(now, asked_at))

    def _retrieval(self, policies: PolicySet) -> Retrieval:
        """Made once a version, and kept for the versions in force."""
        found = self._retrievals.get(policies.hash)
        if found is None:
            if len(self._retrievals) >= _KEPT:
                self._retrievals.clear()
            found = self._retrievals[policies.hash] = Retrieval(policies.answers)
        return found
