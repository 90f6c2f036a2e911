"""Facts of orders in MongoDB: one document an order, with the events folded into it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from pymongo import ReplaceOne, UpdateOne
from pymongo.errors import PyMongoError

from common.errors import Unavailable
from rules.model import PolicySet
from rules.orders import USUAL_ORDERS
from services.sla.order_facts import OrderFacts, fold, forget_at
from services.sla.store import Database


def _id(brand: str, order_id: str) -> str:
    return f"{brand}/{order_id}"


def _document(facts: OrderFacts, revision: int, keep: timedelta) -> dict[str, Any]:
    document = asdict(facts)
    # The database deletes it then (store.py, `prepare`).
    document["forget_at"] = forget_at(facts, keep)
    # What the caps ask by: the customer counts as one more identity.
    document["linked"] = [*facts.identity_hashes, *([f"customer:{facts.customer_id}"] if facts.customer_id else [])]
    return {"_id": _id(facts.brand, facts.order_id), **document, "revision": revision}


def _facts(document: dict[str, Any]) -> OrderFacts:
    known = {name: document[name] for name in OrderFacts.__dataclass_fields__ if name in document}
    return OrderFacts(**{**known, **{name: tuple(known[name]) for name in ("products", "identity_hashes")}})


class OrderStore:
    """The `OrderBook` of order_facts.py, kept by its one writer, the consumer of orders.v1.

    Facts are kept for `keepFacts` of the brand's orders.yaml; a change of it holds from an order's next event on.
    """

    def __init__(self, database: Database, policies: Mapping[str, PolicySet]) -> None:
        self._orders = database.collection("orders")
        self._policies = policies

    async def put(self, events: Sequence[OrderFacts]) -> None:
        """Folds these events in. Repeats change nothing.

        Raises Unavailable, also where another writer came between: the same call again settles it.
        """
        by_id: dict[str, list[OrderFacts]] = {}
        for event in events:
            by_id.setdefault(_id(event.brand, event.order_id), []).append(event)
        try:
            found = {d["_id"]: d async for d in self._orders.find({"_id": {"$in": list(by_id)}})}
            writes: list[Any] = []
            expected = 0
            for key, own in by_id.items():
                before = found.get(key)
                known = _facts(before) if before else None
                after = known
                for event in own:
                    after = fold(after, event)
                assert after is not None
                keep = self._keep(after.brand)
                if before is None:
                    writes.append(UpdateOne({"_id": key}, {"$setOnInsert": _document(after, 1, keep)}, upsert=True))
                elif after != known:
                    revision = before["revision"]
                    writes.append(ReplaceOne({"_id": key, "revision": revision}, _document(after, revision + 1, keep)))
                else:
                    continue
                expected += 1
            if writes:
                done = await self._orders.bulk_write(writes, ordered=False)
                if done.upserted_count + done.modified_count < expected:
                    raise Unavailable("orders changed meanwhile")
        except PyMongoError as error:
            raise Unavailable("the orders can't be written") from error

    def _keep(self, brand: str) -> timedelta:
        return (self._policies[brand].orders if brand in self._policies else USUAL_ORDERS).keep_facts

    async def get(self, brand: str, order_id: str) -> OrderFacts | None:
        """None for an order that isn't known (yet). Raises Unavailable."""
        try:
            document = await self._orders.find_one({"_id": _id(brand, order_id)})
        except PyMongoError as error:
            raise Unavailable("the orders can't be read") from error
        return _facts(document) if document else None

    async def count_of(self, brand: str, identity_hashes: tuple[str, ...], customer_id: str, since: datetime) -> int:
        """Orders placed since then by the customer or under one of these identities. Raises Unavailable."""
        linked = [*identity_hashes, *([f"customer:{customer_id}"] if customer_id else [])]
        if not linked:
            return 0
        what = {"linked": {"$in": linked}, "brand": brand, "occurred_at": {"$gte": since}}
        try:
            return int(await self._orders.count_documents(what))
        except PyMongoError as error:
            raise Unavailable("the orders can't be read") from error
