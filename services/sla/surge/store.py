"""Surges in MongoDB: the incidents as they were told last, and a look at the facts of orders."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pymongo
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError, PyMongoError

from common.errors import Unavailable
from services.sla.store import Database
from services.sla.surge.ports import Place

# Counting waits for the database no longer than this.
LOOK_SECONDS = 0.5


class IncidentStore:
    """Incident id → its bytes, with what lists ask by."""

    def __init__(self, database: Database) -> None:
        self._incidents = database.collection("incidents")

    async def prepare(self) -> None:
        """Makes the index. Raises Unavailable."""
        try:
            await self._incidents.create_index([("brand", ASCENDING), ("opened_at", DESCENDING), ("_id", ASCENDING)])
        except PyMongoError as error:
            raise Unavailable("MongoDB doesn't answer") from error

    async def put(self, rows: Sequence[tuple[str, str, datetime, bool, int, bytes]]) -> None:
        """Writes (id, brand, opened at, open, version, incident) unless a newer one is there. Raises Unavailable."""
        try:
            for key, brand, opened_at, is_open, version, body in rows:
                update = {
                    "$set": {"brand": brand, "opened_at": opened_at, "open": is_open, "version": version, "body": body}
                }
                try:
                    await self._incidents.update_one({"_id": key, "version": {"$lt": version}}, update, upsert=True)
                except DuplicateKeyError:
                    # There, and as new or newer.
                    continue
        except PyMongoError as error:
            raise Unavailable("the incidents can't be written") from error

    async def get(self, incident_id: str) -> bytes | None:
        """None for an unknown incident. Raises Unavailable."""
        try:
            found = await self._incidents.find_one({"_id": incident_id}, {"body": 1})
        except PyMongoError as error:
            raise Unavailable("the incidents can't be read") from error
        return bytes(found["body"]) if found else None

    async def listed(
        self, brand: str, open_only: bool, after: tuple[datetime, str] | None, limit: int
    ) -> list[tuple[datetime, str, bytes]]:
        """(opened at, id, incident), the newest first, behind `after`. Raises Unavailable."""
        wanted: dict[str, Any] = {"brand": brand} if brand else {}
        if open_only:
            wanted["open"] = True
        if after is not None:
            opened_at, key = after
            wanted["$or"] = [{"opened_at": {"$lt": opened_at}}, {"opened_at": opened_at, "_id": {"$gt": key}}]
        try:
            cursor = self._incidents.find(wanted).sort([("opened_at", DESCENDING), ("_id", ASCENDING)]).limit(limit)
            return [(each["opened_at"], each["_id"], bytes(each["body"])) async for each in cursor]
        except PyMongoError as error:
            raise Unavailable("the incidents can't be read") from error


class OrderPlaces:
    """The `Places` of ports.py, from the collection `orders` (one document an order, `_id` brand/order)."""

    def __init__(self, database: Database) -> None:
        self._orders = database.collection("orders")

    async def of(self, orders: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Place]:
        """Of the orders (brand, order id) those that are known. Raises Unavailable."""
        wanted = [f"{brand}/{order}" for brand, order in orders]
        fields = dict.fromkeys(("region", "station", "merchant_id", "courier_id", "products"), 1)
        found: dict[tuple[str, str], Place] = {}
        try:
            with pymongo.timeout(LOOK_SECONDS):
                async for each in self._orders.find({"_id": {"$in": wanted}}, fields):
                    brand, _, order = str(each["_id"]).partition("/")
                    products = list(each.get("products") or ())
                    found[brand, order] = Place(
                        region=each.get("region", ""),
                        station=each.get("station", ""),
                        merchant=each.get("merchant_id", ""),
                        courier=each.get("courier_id", ""),
                        # Of several products nobody knows which is meant.
                        product=products[0] if len(products) == 1 else "",
                    )
        except PyMongoError as error:
            raise Unavailable("the orders can't be read") from error
        return found
