"""What may be done to a ticket in which status: a table."""

from collections.abc import Mapping

from common.errors import Refused
from rules.words import Status
from services.router.commands import (
    AddNote,
    Assign,
    ChangeCategory,
    ChangePriority,
    ChangeQueue,
    Close,
    Command,
    EraseCustomer,
    Inform,
    Merge,
    MergeAway,
    MergeIn,
    NoteCompensation,
    NoteEscalation,
    NoteIncident,
    NoteRemedy,
    ReceiveMessage,
    ReceiveRating,
    RecordCallBack,
    Reopen,
    RepeatSnapshot,
    Reply,
    RequestInformation,
    Resolve,
)
from services.router.model import Ticket

Row = dict[Status, Status]

_ALWAYS: Row = {status: status for status in Status}
_OPEN: Row = {status: status for status in (Status.RECEIVED, Status.IN_PROGRESS, Status.PENDING)}
_WORK: Row = _OPEN | {Status.RECEIVED: Status.IN_PROGRESS}

TRANSITIONS: dict[type[Command], Row] = {
    Assign: _WORK,
    Reply: _WORK,
    RequestInformation: dict.fromkeys(_OPEN, Status.PENDING),
    ChangePriority: _OPEN,
    ChangeCategory: _OPEN,
    ChangeQueue: _OPEN,
    Resolve: dict.fromkeys(_OPEN, Status.RESOLVED),
    # The work is done, or the customer who was asked never answered.
    Close: {Status.PENDING: Status.CLOSED, Status.RESOLVED: Status.CLOSED},
    # After the end a new message opens a linked ticket (sla.md, "After resolve or close").
    Reopen: {Status.RESOLVED: Status.IN_PROGRESS},
    Merge: _OPEN,
    MergeAway: dict.fromkeys(_OPEN, Status.CLOSED),
    # The other ticket has ended already: whatever happened to this one meanwhile, it takes over.
    MergeIn: _ALWAYS,
    AddNote: _ALWAYS,
    RecordCallBack: {Status.RESOLVED: Status.RESOLVED, Status.CLOSED: Status.CLOSED},
    Inform: _ALWAYS,
    EraseCustomer: _ALWAYS,
    RepeatSnapshot: _ALWAYS,
    # The first customer message ends the waiting for him (sla.md, "Pause").
    ReceiveMessage: _ALWAYS | {Status.PENDING: Status.IN_PROGRESS},
    ReceiveRating: _ALWAYS,
    NoteEscalation: _ALWAYS,
    NoteCompensation: _ALWAYS,
    NoteRemedy: _ALWAYS,
    NoteIncident: _ALWAYS,
}
"""Status before → status after, for each command. What isn't here is refused."""

_DOING: Mapping[type[Command], str] = {
    Assign: "can't be assigned",
    Reply: "takes no answer",
    RequestInformation: "takes no question to the customer",
    ChangePriority: "keeps its priority",
    ChangeCategory: "keeps its category",
    ChangeQueue: "stays in its queue",
    Resolve: "can't be resolved",
    Close: "can't be closed: resolve it first",
    Reopen: "can't be reopened",
    Merge: "takes in no other ticket",
    MergeAway: "can't be merged into another one",
    RecordCallBack: "has no result yet to call back about: resolve it first",
}
_CLOSED = {Close: "can't be closed again", Reopen: "can't be reopened: a new message opens a linked ticket"}


def permit(ticket: Ticket, kind: type[Command]) -> Status:
    """The status after a command of this kind. Raises Refused, with a sentence, where the table has none."""
    status = TRANSITIONS[kind].get(ticket.status)
    if status is None:
        doing = _CLOSED.get(kind, _DOING[kind]) if ticket.status is Status.CLOSED else _DOING[kind]
        raise Refused(f"a ticket that is {ticket.status.replace('_', ' ')} {doing}")
    return status
