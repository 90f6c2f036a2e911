"""Who may see and add to a complaint: the holder of its token, or a channel or service of the installation."""

from common.errors import NotFound, Unauthenticated
from rules import number
from services.intake.model import TokenFacts
from services.intake.tokens import read_token


def admitted(secret: bytes, ticket_id: str, token: str | None, trusted: bool) -> tuple[str, TokenFacts | None]:
    """The canonical number, and what the token says where it is this ticket's.

    Raises Unauthenticated without either credential, NotFound for what isn't a number.
    """
    canonical = number.parse(ticket_id)
    facts = read_token(secret, canonical, token) if canonical and token else None
    if not trusted and facts is None and (canonical or token is None):
        raise Unauthenticated("the complaint's token or a channel key is needed")
    if canonical is None:
        raise NotFound("no such complaint: the number is mistyped")
    return canonical, facts
