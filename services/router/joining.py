"""Which open ticket a complaint belongs to: "one customer, one ticket" (mechanisms.md, "Threading"). Pure.

A ticket *claims* what it is about: an order of a customer, his conversation by text, phone or chat, the thread of his
mails. A claim is a keyed hash that one ticket alone may hold, so two messages at once can't open two tickets. The
customer is known by his id and by his contact.

A complaint that goes by the red channel never disappears in an ordinary ticket: it joins a red one or opens its own,
linked to the other. An ordinary one joins either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common.contact import known_contact
from rules.words import Status
from services.router.model import Complaint, Ticket
from services.router.search import SearchIndex

# Where people just write or talk on; a mail has its own threads, an app its forms.
CONVERSATIONS = frozenset({"sms", "hotline", "wechat"})
# The channel fact of a complaint whose brand nobody named.
BRAND_ASSUMED = "brand_assumed"
# The first and the latest Message-Ids of a long thread.
_REFERENCES = 20
# A chain of mergings longer than this is a circle.
HOPS = 20


@dataclass(frozen=True)
class Traits:
    """What a complaint can be recognised by. `seek`: claims that lead to its ticket, the surest first; `claims`: what
    its own ticket would hold. `asks`: another ticket may have it though no claim says so."""

    ticket_id: str
    # "" where the channel doesn't know it: a text to a number of several brands.
    brand: str
    contact: str
    customer_id: str
    customer_ref: str
    seek: tuple[str, ...]
    claims: tuple[str, ...]
    red: bool
    thanks: bool
    named: str = ""
    talks: bool = False

    @property
    def asks(self) -> bool:
        """Whether to look before opening a ticket; the others learn from the claims that somebody was first."""
        return bool(self.named or self.talks or (self.thanks and self.seek))


@dataclass(frozen=True)
class Placement:
    """`into`: the ticket it joins, "" where it opens its own, holding `claims`. `linked`: the ticket it refers to all
    the same. `stale`: claims of tickets that have ended, to be released first."""

    into: str = ""
    linked: str = ""
    claims: tuple[str, ...] = ()
    stale: tuple[tuple[str, str], ...] = ()


def traits(complaint: Complaint, contact: str, index: SearchIndex, *, red: bool, thanks: bool) -> Traits:
    """What the complaint can be recognised by. `contact` as it was sent; `red`, `thanks`: what its words say."""
    known = (known_contact(contact) or contact).casefold()
    brand = "" if complaint.channel_facts.get(BRAND_ASSUMED) else complaint.brand
    people = [who for who in (_tagged("id", complaint.customer_id), _tagged("contact", known)) if who]
    talks = complaint.channel in CONVERSATIONS and not complaint.order_id
    about: list[tuple[str, str]] = []
    if complaint.order_id:
        about.append(("order", complaint.order_id))
    references = tuple(dict.fromkeys(complaint.mail_references))
    about += [("mail", each) for each in (*references[:1], *references[1:][-_REFERENCES:])]
    if talks:
        about.append(("talk", ""))

    def claims(*grades: str) -> tuple[str, ...]:
        return tuple(
            index.claim("claim", brand, who, kind, value, grade)
            for kind, value in about
            for grade in grades
            for who in people
        )

    return Traits(
        ticket_id=complaint.ticket_id,
        brand=brand,
        contact=index.contact(contact),
        customer_id=complaint.customer_id,
        customer_ref=complaint.customer_ref,
        seek=claims("any", "red"),
        claims=claims("any", "red") if red else claims("any"),
        red=red,
        thanks=thanks,
        named=complaint.thread_ticket,
        talks=talks,
    )


def _tagged(kind: str, value: str) -> str:
    return f"{kind}:{value}" if value else ""


def place(
    one: Traits, holders: Mapping[str, str], known: Mapping[str, Ticket], talking: Sequence[Ticket], mine: bool
) -> Placement:
    """Where a complaint belongs. `holders`: who holds the claims it seeks; `known`: those tickets, the one it names,
    and whoever followed them; `talking`: the open tickets of its contact, the likeliest first; `mine`: the ticket it
    names is this customer's.
    """
    linked = thanked = into = ""
    if one.named and (named := last(known, one.named)) is not None:
        if mine and _takes(named, one):
            into = named.id
        elif mine and one.thanks:
            thanked = named.id
        else:
            linked = named.id
    stale: list[tuple[str, str]] = []
    held: set[str] = set()
    for claim in one.seek:
        holder = holders.get(claim, "")
        present = last(known, holder)
        if present is None:
            continue
        if present.status is Status.CLOSED or present.full:
            stale.append((holder, claim))
            thanked = thanked or present.id
            continue
        held.add(claim)
        if _takes(present, one):
            into = into or present.id
        else:
            linked = linked or present.id
    if not into and one.talks:
        into = next((ticket.id for ticket in talking if _takes(ticket, one)), "")
        linked = linked or next((ticket.id for ticket in talking if ticket.status is not Status.CLOSED), "")
    if not into and one.thanks:
        # Thanks after the end belong to what has ended.
        into = thanked or next((ticket.id for ticket in talking), "")
    own = tuple(claim for claim in one.claims if claim not in held)
    if into:
        free = {claim for _, claim in stale}
        return Placement(into, claims=tuple(claim for claim in own if claim not in free))
    return Placement(linked=linked, claims=own, stale=tuple((who, claim) for who, claim in stale if claim in own))


def last(known: Mapping[str, Ticket], ticket_id: str) -> Ticket | None:
    """The ticket a customer is served under now who once was served under this one; None for an unknown one."""
    ticket = known.get(ticket_id)
    for _ in range(HOPS):
        if ticket is None or ticket.successor not in known:
            return ticket
        ticket = known[ticket.successor]
    return ticket


def _takes(ticket: Ticket, one: Traits) -> bool:
    if ticket.id == one.ticket_id or ticket.status is Status.CLOSED or ticket.full:
        return False
    return ticket.red or not one.red
