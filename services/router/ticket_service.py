"""gRPC: the ticket API."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from common import metrics
from common.errors import FieldProblem, Invalid
from common.masking import without_contacts
from common.tracing import child_traceparent
from common.words import from_timestamp, word_of
from gen.pingxi.v1 import common_pb2, ticket_service_pb2_grpc
from gen.pingxi.v1 import ticket_service_pb2 as pb
from services.router.corrections import Corrections
from services.router.desk import Desk
from services.router.erasure import Erasure
from services.router.execution import Head
from services.router.merging import Merging
from services.router.model import Actor, ActorKind, Event, Ticket
from services.router.ports import Filter
from services.router.watch import Watch
from services.router.wire import listed_to_proto, ticket_to_proto
from wire.words import category_from_proto, priority_from_proto, status_from_proto


@dataclass(frozen=True)
class TicketCalls:
    """What the calls are carried out by."""

    desk: Desk
    corrections: Corrections
    merging: Merging
    erasure: Erasure
    watch: Watch


class TicketServicer(ticket_service_pb2_grpc.TicketServiceServicer):
    """Only other services of the installation call this, so it shows personal data."""

    def __init__(self, calls: TicketCalls) -> None:
        self._desk = calls.desk
        self._corrections = calls.corrections
        self._merging = calls.merging
        self._erasure = calls.erasure
        self._watch = calls.watch

    async def GetTicket(self, request: pb.GetTicketRequest, context: Any) -> pb.GetTicketResponse:
        """The ticket with history, messages and contact."""
        readable = await self._desk.read(request.ticket_id)
        return pb.GetTicketResponse(ticket=ticket_to_proto(readable))

    async def ListTickets(self, request: pb.ListTicketsRequest, context: Any) -> pb.ListTicketsResponse:
        """One page, without history and personal data."""
        which = filter_from_proto(request.filter)
        tickets, token = await self._desk.list(which, request.order_by, request.page_size, request.page_token)
        return pb.ListTicketsResponse(tickets=map(listed_to_proto, tickets), next_page_token=token)

    async def SearchTickets(self, request: pb.SearchTicketsRequest, context: Any) -> pb.SearchTicketsResponse:
        """By number, order, contact or words; one page, without history and personal data."""
        which = filter_from_proto(request.filter)
        tickets, token = await self._desk.search(request.query, which, request.page_size, request.page_token)
        return pb.SearchTicketsResponse(tickets=map(listed_to_proto, tickets), next_page_token=token)

    async def Assign(self, request: pb.AssignRequest, context: Any) -> pb.AssignResponse:
        """Makes a named person the owner."""
        ticket = await self._desk.assign(_head(request.change), request.assignee)
        return pb.AssignResponse(ticket=self._shown(ticket))

    async def Reply(self, request: pb.ReplyRequest, context: Any) -> pb.ReplyResponse:
        """Answers the customer; the first answer by a person meets the first promise."""
        ticket, event = await self._desk.reply(_head(request.change), request.text, tuple(request.images))
        _measure(event)
        return pb.ReplyResponse(ticket=self._shown(ticket))

    async def Resolve(self, request: pb.ResolveRequest, context: Any) -> pb.ResolveResponse:
        """Ends the work; the text is the answer the customer gets."""
        ticket, event = await self._desk.resolve(
            _head(request.change),
            request.text,
            request.resolution,
            request.amount.currency,
            request.amount.amount_minor,
        )
        _measure(event)
        return pb.ResolveResponse(ticket=self._shown(ticket))

    async def AddNote(self, request: pb.AddNoteRequest, context: Any) -> pb.AddNoteResponse:
        """Among colleagues; the customer never sees it."""
        ticket = await self._desk.add_note(_head(request.change), request.text, request.call_back)
        return pb.AddNoteResponse(ticket=self._shown(ticket))

    async def RequestInformation(
        self, request: pb.RequestInformationRequest, context: Any
    ) -> pb.RequestInformationResponse:
        """Asks the customer; what may wait for his answer does."""
        ticket, event = await self._desk.request_information(_head(request.change), request.text)
        _measure(event)
        return pb.RequestInformationResponse(ticket=self._shown(ticket))

    async def ChangePriority(self, request: pb.ChangePriorityRequest, context: Any) -> pb.ChangePriorityResponse:
        """The targets of another priority."""
        priority = priority_from_proto(request.priority)
        ticket = await self._corrections.change_priority(_head(request.change), priority)
        return pb.ChangePriorityResponse(ticket=self._shown(ticket))

    async def ChangeCategory(self, request: pb.ChangeCategoryRequest, context: Any) -> pb.ChangeCategoryResponse:
        """A correction; priority, queues and policy follow."""
        category, secondary = category_from_proto(request.category), map(category_from_proto, request.secondary)
        ticket = await self._corrections.change_category(_head(request.change), category, tuple(secondary))
        return pb.ChangeCategoryResponse(ticket=self._shown(ticket))

    async def ChangeQueue(self, request: pb.ChangeQueueRequest, context: Any) -> pb.ChangeQueueResponse:
        """Another department, and those it works with."""
        joint = tuple(request.joint_queues)
        ticket = await self._corrections.change_queue(_head(request.change), request.queue, joint)
        return pb.ChangeQueueResponse(ticket=self._shown(ticket))

    async def Close(self, request: pb.CloseRequest, context: Any) -> pb.CloseResponse:
        """The end."""
        return pb.CloseResponse(ticket=self._shown(await self._desk.close(_head(request.change))))

    async def Reopen(self, request: pb.ReopenRequest, context: Any) -> pb.ReopenResponse:
        """Work goes on."""
        return pb.ReopenResponse(ticket=self._shown(await self._desk.reopen(_head(request.change))))

    async def Merge(self, request: pb.MergeRequest, context: Any) -> pb.MergeResponse:
        """Another ticket ends in favour of this one."""
        head = _head(request.change)
        ticket = await self._merging.merge(head, request.merged_ticket_id, request.merged_expected_version)
        return pb.MergeResponse(ticket=self._shown(ticket))

    async def EraseCustomer(self, request: pb.EraseCustomerRequest, context: Any) -> pb.EraseCustomerResponse:
        """Contact, texts and images of a customer's tickets go."""
        tickets, images = await self._erasure.erase(
            request.brand,
            request.customer_id,
            request.contact,
            request.idempotency_key,
            _actor(request.actor),
            without_contacts(request.reason),
        )
        return pb.EraseCustomerResponse(tickets_erased=tickets, images_erased=images)

    async def WatchTickets(
        self, request: pb.WatchTicketsRequest, context: Any
    ) -> AsyncIterator[pb.WatchTicketsResponse]:
        """Every event from the moment the response's headers arrive."""
        with self._watch.watching(filter_from_proto(request.filter)) as watcher:
            await context.send_initial_metadata(())
            async for event in watcher.events():
                yield pb.WatchTicketsResponse(event=event)

    def _shown(self, ticket: Ticket) -> pb.Ticket:
        return ticket_to_proto(self._desk.opened(ticket))


def _measure(event: Event | None) -> None:
    if event is None:
        return
    facts = event.ticket.facts
    for instant, histogram in (
        (facts.first_answer_at, metrics.first_response_seconds),
        (facts.resolved_at, metrics.resolution_seconds),
    ):
        if instant == event.at:
            histogram.observe(max(0.0, (event.at - facts.acknowledged_at).total_seconds()))


def _head(change: pb.Change) -> Head:
    return Head(
        ticket_id=change.ticket_id,
        expected_version=change.expected_version,
        idempotency_key=change.idempotency_key,
        actor=_actor(change.actor),
        # It goes out in the clear, and people write what they have before them.
        reason=without_contacts(change.reason),
        trace=child_traceparent(),
    )


def _actor(actor: common_pb2.Actor) -> Actor:
    """An actor whose kind isn't said is an agent: who calls on behalf of a machine has to say so."""
    kind = word_of(common_pb2.Actor.Kind.DESCRIPTOR, actor.kind)
    return Actor(ActorKind(kind) if kind else ActorKind.AGENT, actor.id)


def filter_from_proto(message: pb.TicketFilter) -> Filter:
    """What to list. Raises Invalid for a word this version doesn't know."""
    problems = []

    def known(field: str, words: list[Any]) -> tuple[Any, ...]:
        if None in words:
            problems.append(FieldProblem(f"filter.{field}", "has an unknown value"))
        return tuple(words)

    which = Filter(
        brands=tuple(message.brands),
        statuses=known("statuses", [status_from_proto(number) for number in message.statuses]),
        queues=tuple(message.queues),
        priorities=known("priorities", [priority_from_proto(number) for number in message.priorities]),
        categories=known("categories", [category_from_proto(number) for number in message.categories]),
        assignees=tuple(message.assignees),
        customer_id=message.customer_id,
        customer_ref=message.customer_ref,
        order_id=message.order_id,
        merchant_id=message.merchant_id,
        region=message.region,
        acknowledged_from=from_timestamp(message.acknowledged_from),
        acknowledged_to=from_timestamp(message.acknowledged_to),
    )
    if problems:
        raise Invalid(problems)
    return which
