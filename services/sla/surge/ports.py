"""What the surge detector's edges need from outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Place:
    """What only the order tells of a complaint; empty where it isn't known."""

    region: str = ""
    station: str = ""
    merchant: str = ""
    courier: str = ""
    product: str = ""


class Places(Protocol):
    """Who delivered an order, and from where."""

    async def of(self, orders: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Place]:
        """Of the orders (brand, order id) those that are known. Raises Unavailable."""
        ...
