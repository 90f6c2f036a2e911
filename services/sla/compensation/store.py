"""The ledger in MongoDB, with its budgets, caps and what each order was paid."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError, PyMongoError

from common.errors import Unavailable
from rules.model import Fault, TriggerKind
from services.sla.compensation.accounts import Accounts, Books, Claims, charged, returned
from services.sla.compensation.model import Actor, Change, Charges, LedgerRow
from services.sla.compensation.ports import Asked, Reservation
from services.sla.store import Database

R = TypeVar("R")
EPOCH = "epoch"


def document_of(row: LedgerRow) -> dict[str, Any]:
    """A row as it is kept."""
    document = asdict(row)
    document["_id"] = document.pop("id")
    document["trigger"] = row.trigger.value
    document["fault"] = row.fault.value if row.fault else ""
    return document


def row_of(document: dict[str, Any]) -> LedgerRow:
    """Reverse of `document_of`."""
    known = {name: document[name] for name in LedgerRow.__dataclass_fields__ if name in document}
    asked = document.get("requested_by")
    return LedgerRow(
        **{
            **known,
            "id": document["_id"],
            "trigger": TriggerKind(document["trigger"]),
            "fault": Fault(document["fault"]) if document["fault"] else None,
            "evidence": tuple(document["evidence"]),
            "approvals": tuple(Actor(**each) for each in document["approvals"]),
            "requested_by": Actor(**asked) if asked else None,
            "charges": _charges(document["charges"]),
            "history": tuple(Change(**{**each, "actor": Actor(**each["actor"])}) for each in document["history"]),
        }
    )


def _charges(document: dict[str, Any]) -> Charges:
    return Charges(tuple(document["budgets"]), tuple(document["identities"]), document["day"], document["order"])


def _days(document: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {day: (int(count), int(amount)) for day, (count, amount) in document.get("days", {}).items()}


class LedgerStore:
    """The `LedgerBook` of ports.py. `name` sets another ledger apart in the same database: for tests."""

    def __init__(self, database: Database, name: str = "") -> None:
        self._start_session = database.start_session
        self._rows = database.collection(f"{name}ledger")
        self._budgets = database.collection(f"{name}budgets")
        self._claims = database.collection(f"{name}claims")
        self._orders = database.collection(f"{name}order_payments")
        self._meta = database.collection(f"{name}ledger_meta")

    async def has_epoch(self) -> bool:
        """Whether this database holds the ledger; an empty one that replaced it doesn't. Raises Unavailable."""
        try:
            return await self._meta.find_one({"_id": EPOCH}) is not None
        except PyMongoError as error:
            raise Unavailable("the ledger can't be read") from error

    async def begin(self, how: str, now: datetime) -> None:
        """Declares this database to be the ledger's. Raises Unavailable."""
        try:
            await self._meta.update_one({"_id": EPOCH}, {"$setOnInsert": {"how": how, "since": now}}, upsert=True)
        except DuplicateKeyError:
            return
        except PyMongoError as error:
            raise Unavailable("the ledger can't be written") from error

    async def insert(self, row: LedgerRow) -> bool:
        try:
            await self._rows.insert_one({**document_of(row), "unpublished": True})
        except DuplicateKeyError:
            return False
        except PyMongoError as error:
            raise Unavailable("the ledger can't be written") from error
        return True

    async def get(self, ledger_id: str) -> LedgerRow | None:
        return next(iter(await self._find({"_id": ledger_id}, 1)), None)

    async def by_request(self, request_id: str) -> LedgerRow | None:
        return next(iter(await self._find({"request_id": request_id}, 1)), None)

    async def change(self, row: LedgerRow) -> bool:
        try:
            done = await self._rows.replace_one(*_replacing(row))
        except PyMongoError as error:
            raise Unavailable("the ledger can't be written") from error
        return bool(done.matched_count)

    async def published(self, row: LedgerRow) -> None:
        try:
            await self._rows.update_one({"_id": row.id, "version": row.version}, {"$set": {"unpublished": False}})
        except PyMongoError as error:
            raise Unavailable("the ledger can't be written") from error

    async def books(self, accounts: Accounts) -> Books:
        try:
            spent = {
                d["_id"]: int(d["spent"])
                async for d in self._budgets.find({"_id": {"$in": [b.id for b in accounts.budgets]}})
            }
            claims = {
                d["_id"]: Claims(int(d["version"]), _days(d))
                async for d in self._claims.find({"_id": {"$in": list(accounts.identities)}})
            }
            order = await self._orders.find_one({"_id": accounts.order}) if accounts.order else None
        except PyMongoError as error:
            raise Unavailable("the books can't be read") from error
        return Books(spent, claims, int(order["paid"]) if order else 0)

    async def reserve(self, row: LedgerRow, accounts: Accounts, books: Books, cap_days: int) -> Reservation:
        await self._open(accounts, books)

        async def steps(session: Any) -> Reservation:
            if await self._meta.find_one({"_id": EPOCH}, session=session) is None:
                await session.abort_transaction()
                raise Unavailable("the ledger's database was replaced")
            for guard, change, where in self._guarded(row, accounts, books, cap_days):
                if not (await where.update_one(guard, change, session=session)).matched_count:
                    await session.abort_transaction()
                    return "changed"
            done = await self._rows.replace_one(*_replacing(row), session=session)
            if not done.matched_count:
                await session.abort_transaction()
                return "gone"
            return "reserved"

        outcome: Reservation = await self._transaction(steps)
        return outcome

    def _guarded(self, row: LedgerRow, accounts: Accounts, books: Books, cap_days: int) -> list[tuple[Any, Any, Any]]:
        """(what has to hold, the change, the collection): the hottest first, so that a conflict shows before other
        locks are taken."""
        amount = row.amount_minor
        writes: list[tuple[Any, Any, Any]] = []
        for budget in accounts.budgets:
            guard: dict[str, Any] = {"_id": budget.id, "spent": {"$lte": budget.limit - amount}}
            writes.append((guard, {"$inc": {"spent": amount}}, self._budgets))
        if accounts.order:
            guard = {"_id": accounts.order, "paid": books.paid_for_order}
            writes.append((guard, {"$inc": {"paid": amount}}, self._orders))
        for identity in accounts.identities:
            seen = books.claims.get(identity, Claims())
            days = charged(seen.days, accounts.day, cap_days, amount)
            change = {"$set": {"days": {d: list(t) for d, t in days.items()}, "version": seen.version + 1}}
            writes.append(({"_id": identity, "version": seen.version}, change, self._claims))
        return writes

    async def _open(self, accounts: Accounts, books: Books) -> None:
        """Accounts that aren't there yet. Outside of the transaction: two first reservations of a day would otherwise
        conflict on the insert."""
        missing = [
            *((self._budgets, b.id, {"spent": 0}) for b in accounts.budgets if b.id not in books.spent),
            *((self._claims, i, {"version": 0, "days": {}}) for i in accounts.identities if i not in books.claims),
            *([(self._orders, accounts.order, {"paid": 0})] if accounts.order and not books.paid_for_order else []),
        ]
        for collection, key, empty in missing:
            try:
                await collection.update_one({"_id": key}, {"$setOnInsert": empty}, upsert=True)
            except DuplicateKeyError:
                continue
            except PyMongoError as error:
                raise Unavailable("the books can't be written") from error

    async def give_back(self, row: LedgerRow) -> bool:
        charges, amount = row.charges, row.amount_minor

        async def steps(session: Any) -> Reservation:
            done = await self._rows.replace_one(*_replacing(row), session=session)
            if not done.matched_count:
                await session.abort_transaction()
                return "gone"
            if charges.order:
                await self._orders.update_one({"_id": charges.order}, {"$inc": {"paid": -amount}}, session=session)
            for identity in charges.identities:
                seen = await self._claims.find_one({"_id": identity}, session=session)
                if seen is None:
                    continue
                days = {d: list(t) for d, t in returned(_days(seen), charges.day, amount).items()}
                done = await self._claims.update_one(
                    {"_id": identity, "version": seen["version"]},
                    {"$set": {"days": days, "version": seen["version"] + 1}},
                    session=session,
                )
                if not done.matched_count:
                    await session.abort_transaction()
                    return "changed"
            for budget in charges.budgets:
                await self._budgets.update_one({"_id": budget}, {"$inc": {"spent": -amount}}, session=session)
            return "reserved"

        outcome = await self._transaction(steps)
        while outcome == "changed":
            outcome = await self._transaction(steps)
        return bool(outcome == "reserved")

    async def due(self, now: datetime, most: int = 200) -> list[LedgerRow]:
        what = {"state": {"$in": ["proposed", "approved"]}, "settle_at": {"$lte": now}}
        return await self._find(what, most, [("settle_at", ASCENDING)])

    async def unpublished(self, before: datetime, most: int = 200) -> list[LedgerRow]:
        return await self._find({"unpublished": True, "updated_at": {"$lte": before}}, most)

    async def waiting_for(self, brand: str, order_ids: Sequence[str]) -> list[LedgerRow]:
        what = {"order_id": {"$in": list(order_ids)}, "brand": brand, "state": "held", "outcome": "order_unknown"}
        return await self._find(what, 1000)

    async def find(self, asked: Asked, most: int) -> list[LedgerRow]:
        what: dict[str, Any] = {n: v for n in ("brand", "ticket_id", "order_id") if (v := getattr(asked, n))}
        if asked.states:
            what["state"] = {"$in": list(asked.states)}
        if asked.after is not None:
            at, last = asked.after
            what["$or"] = [{"proposed_at": {"$lt": at}}, {"proposed_at": at, "_id": {"$lt": last}}]
        return await self._find(what, most, [("proposed_at", DESCENDING), ("_id", DESCENDING)])

    async def issued(self, brand: str, start: datetime, end: datetime) -> list[LedgerRow]:
        return await self._find({"brand": brand, "issued_at": {"$gte": start, "$lt": end}}, 0)

    async def find_all(self) -> list[LedgerRow]:
        """Every row, in no order. Raises Unavailable."""
        return await self._find({}, 0)

    async def spent(self, budget: str) -> int:
        try:
            document = await self._budgets.find_one({"_id": budget})
        except PyMongoError as error:
            raise Unavailable("the budget can't be read") from error
        return int(document["spent"]) if document else 0

    async def rebuild(self, rows: Sequence[LedgerRow], books: Books, paid: dict[str, int]) -> None:
        """Writes a ledger that was read from the topics into an empty database. Raises Unavailable."""
        try:
            for row in rows:
                document = {**document_of(row), "unpublished": row.state in ("reserved", "reversing")}
                await self._rows.replace_one({"_id": row.id}, document, upsert=True)
            for collection, documents in (
                (self._budgets, {key: {"spent": value} for key, value in books.spent.items()}),
                (self._orders, {key: {"paid": value} for key, value in paid.items()}),
                (
                    self._claims,
                    {
                        key: {"version": value.version, "days": {d: list(t) for d, t in value.days.items()}}
                        for key, value in books.claims.items()
                    },
                ),
            ):
                for key, document in documents.items():
                    await collection.replace_one({"_id": key}, document, upsert=True)
        except PyMongoError as error:
            raise Unavailable("the ledger can't be written") from error

    async def _transaction(self, steps: Callable[[Any], Any]) -> Any:
        try:
            async with await self._start_session() as session:
                return await session.with_transaction(steps)
        except PyMongoError as error:
            raise Unavailable("the outcome of a transaction is unknown") from error

    async def _find(
        self, what: dict[str, Any], most: int, order: list[tuple[str, int]] | None = None
    ) -> list[LedgerRow]:
        try:
            cursor = self._rows.find(what).limit(most)
            if order:
                cursor = cursor.sort(order)
            return [row_of(document) async for document in cursor]
        except PyMongoError as error:
            raise Unavailable("the ledger can't be read") from error


def _replacing(row: LedgerRow) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"_id": row.id, "version": row.version - 1}, {**document_of(row), "unpublished": True}
