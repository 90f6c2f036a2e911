"""Which command is allowed in which status: every pair, written out."""

from typing import get_args

import pytest

from common.errors import Refused
from rules.words import Status
from services.router import commands
from services.router.effects import EFFECTS
from services.router.transitions import TRANSITIONS, permit
from tests.fakes_router import complaint
from tests.unit.router.behaviour import opened

# received, in_progress, pending, resolved, closed → the status after, "-" where it is refused.
TABLE = {
    "Assign": "in_progress in_progress pending - -",
    "Reply": "in_progress in_progress pending - -",
    "RequestInformation": "pending pending pending - -",
    "ChangePriority": "received in_progress pending - -",
    "ChangeCategory": "received in_progress pending - -",
    "ChangeQueue": "received in_progress pending - -",
    "Resolve": "resolved resolved resolved - -",
    "Close": "- - closed closed -",
    "Reopen": "- - - in_progress -",
    "Merge": "received in_progress pending - -",
    "MergeAway": "closed closed closed - -",
    "MergeIn": "received in_progress pending resolved closed",
    "AddNote": "received in_progress pending resolved closed",
    "RecordCallBack": "- - - resolved closed",
    "Inform": "received in_progress pending resolved closed",
    "EraseCustomer": "received in_progress pending resolved closed",
    "RepeatSnapshot": "received in_progress pending resolved closed",
    "ReceiveMessage": "received in_progress in_progress resolved closed",
    "ReceiveRating": "received in_progress pending resolved closed",
    "NoteEscalation": "received in_progress pending resolved closed",
    "NoteCompensation": "received in_progress pending resolved closed",
    "NoteRemedy": "received in_progress pending resolved closed",
    "NoteIncident": "received in_progress pending resolved closed",
}


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("name", TABLE)
def test_every_pair_of_command_and_status_is_as_written(name: str, status: Status) -> None:
    kind = getattr(commands, name)
    expected = TABLE[name].split()[list(Status).index(status)]
    ticket = opened(complaint(1)).ticket
    ticket = type(ticket)(**{**vars(ticket), "status": status})
    if expected != "-":
        assert permit(ticket, kind) == expected
        return
    with pytest.raises(Refused, match=f"a ticket that is {status.replace('_', ' ')} [a-z]+") as caught:
        permit(ticket, kind)
    assert len(str(caught.value).split()) >= 7, "a sentence"


def test_every_command_has_a_row_and_what_is_allowed_does_something() -> None:
    assert set(TRANSITIONS) == set(get_args(commands.Command))
    assert {kind.__name__ for kind in TRANSITIONS} == set(TABLE)
    # A merging is asked for in one row and done by the two others.
    assert set(TRANSITIONS) - set(EFFECTS) == {commands.Merge}
