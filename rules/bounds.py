"""How much one ticket takes in: it is one document, which has its bound (MongoDB: 16 MiB)."""

MOST_MESSAGES = 200
"""Beyond so many messages, the desk's included, the customer's words go to another ticket."""

MOST_BYTES = 2 * 1024 * 1024
"""Likewise beyond so many bytes of messages: a mail may be long."""

MOST_SAID = 500
"""Beyond so many messages the desk says nothing more than what ends the ticket."""

MOST_RATINGS = 20
"""A customer changes his mind; a machine that rates for ever has no mind."""


def is_full(messages: int, size: int) -> bool:
    """Whether a ticket with so many messages, of so many bytes together, takes in nothing more of the customer."""
    return messages >= MOST_MESSAGES or size >= MOST_BYTES
