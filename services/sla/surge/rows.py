"""A brand's state as rows of the table, and back.

Only what changed is written. The rows of one writing go into a journal first, whole: what is read back is the rows with
the last complete journal over them, so that a process that dies between two rows leaves the state before or after,
never something between.
"""

import zlib
from collections.abc import Iterable, Mapping

from gen.pingxi.v1 import internal_pb2 as pb
from services.sla.surge.baseline import Habits, Level, Season
from services.sla.surge.counting import Peers
from services.sla.surge.detector import Brand
from services.sla.surge.model import DIMENSIONS, Dimension, Key
from services.sla.surge.quality import Record
from services.sla.surge.rules import Rules
from services.sla.surge.series import Series
from services.sla.surge.wire import (
    category_from_proto,
    category_to_proto,
    complaint_from_proto,
    complaint_to_proto,
    incident_from_row,
    incident_to_row,
)

# Rows of a brand that hold series, habits and records: each about a hundredth.
SHARDS = 64
# Bytes of one part of a journal, compressed: below what a broker takes in one message.
PART = 500_000
Rows = dict[bytes, bytes | None]


def row_key(brand: str, kind: str, *parts: object) -> bytes:
    """Names a row; a brand's name has no zero byte."""
    return "\0".join((brand, kind, *map(str, parts))).encode()


def brand_of(key: bytes) -> str:
    """Whose row it is."""
    return key.split(b"\0", 1)[0].decode()


def _shard(*parts: str) -> int:
    return zlib.crc32("\0".join(parts).encode()) % SHARDS


def _shard_of(key: Key) -> int:
    return _shard(*key)


def changed_rows(brand: Brand, rules: Rules) -> Rows:
    """What has changed since the last call; None where a row is to go. The state is then taken as written."""
    counted, quality = brand.counted, brand.quality
    rows: Rows = {row_key(brand.name, "head"): _head(brand, rules)}
    series: dict[int, pb.SurgeShardRow] = {_shard_of(key): pb.SurgeShardRow() for key in counted.changed}
    if series:
        for key, each in counted.series.items():
            if (shard := series.get(_shard_of(key))) is not None:
                _series_to_row(shard.series.add(), key, each)
    rows |= {row_key(brand.name, "series", n): row.SerializeToString() for n, row in series.items()}
    habits = {_shard(*place): pb.SurgeHabitsShardRow() for place in counted.changed_habits}
    if habits:
        for (dimension, value), habit in counted.habits.items():
            if (own := habits.get(_shard(dimension, value))) is not None:
                own.habits.add(dimension=DIMENSIONS.index(dimension), value=value, hours=habit.hours, total=habit.total)
    rows |= {row_key(brand.name, "habits", n): row.SerializeToString() for n, row in habits.items()}
    records = {_shard(*place): pb.SurgeQualityShardRow() for place in quality.changed}
    if records:
        for (kind, value), record in quality.records.items():
            if (found := records.get(_shard(kind, value))) is not None:
                found.records.add(
                    dimension=kind,
                    value=value,
                    orders=record.orders,
                    complaints=record.complaints,
                    week=record.week,
                )
    rows |= {row_key(brand.name, "quality", n): row.SerializeToString() for n, row in records.items()}
    for category, bucket in sorted(counted.changed_recent):
        kept_rows = counted.recent.get((category, bucket))
        rows[row_key(brand.name, "recent", category, bucket)] = (
            None
            if kept_rows is None
            else pb.SurgeRecentRow(
                category=category_to_proto(category),
                bucket=bucket,
                complaints=[complaint_to_proto(each) for each in kept_rows.values()],
            ).SerializeToString()
        )
    for incident in sorted(brand.changed):
        held = brand.incidents.get(incident)
        rows[row_key(brand.name, "incident", incident)] = (
            None if held is None else incident_to_row(held, brand.name).SerializeToString()
        )
    for each_changed in (
        counted.changed,
        counted.changed_habits,
        counted.changed_recent,
        quality.changed,
        brand.changed,
    ):
        each_changed.clear()
    brand.regions.changed = False
    return rows


def everything_changed(brand: Brand) -> None:
    """All rows are due to be written."""
    brand.counted.changed.update(brand.counted.series)
    brand.counted.changed_habits.update(brand.counted.habits)
    brand.counted.changed_recent.update(brand.counted.recent)
    brand.quality.changed.update(brand.quality.records)
    brand.changed.update(brand.incidents)


def journal(brand: str, number: int, rows: Rows) -> dict[bytes, bytes]:
    """The rows as journal rows, to be written before them."""
    entries = [pb.SurgeJournalEntry(key=key, value=value or b"") for key, value in rows.items()]
    packed = zlib.compress(pb.SurgeJournal(rows=entries).SerializeToString(), 1)
    parts = [packed[start : start + PART] for start in range(0, len(packed), PART)]
    return {
        row_key(brand, "journal", part): pb.SurgeJournalRow(
            number=number, part=part, parts=len(parts), rows=content
        ).SerializeToString()
        for part, content in enumerate(parts)
    }


def whole(brand: str, stored: Iterable[tuple[bytes, bytes]]) -> tuple[dict[bytes, bytes], int]:
    """(a brand's rows as of its last complete writing, that writing's number)."""
    prefix = row_key(brand, "")
    mine = {key: value for key, value in stored if key.startswith(prefix)}
    start = row_key(brand, "journal", "")
    parts = [pb.SurgeJournalRow.FromString(mine.pop(key)) for key in [k for k in mine if k.startswith(start)]]
    if not parts:
        return mine, 0
    first = next(part for part in parts if part.part == 0)
    same = sorted((part for part in parts if part.number == first.number), key=lambda part: part.part)
    if len(same) >= first.parts:
        packed = b"".join(part.rows for part in same[: first.parts])
        for entry in pb.SurgeJournal.FromString(zlib.decompress(packed)).rows:
            if entry.value:
                mine[entry.key] = entry.value
            else:
                mine.pop(entry.key, None)
    return mine, first.number


def restore(name: str, rows: Mapping[bytes, bytes], rules: Rules) -> Brand:
    """The brand as it was when these were written; a new one from none."""
    brand = Brand(name)
    head = rows.get(row_key(name, "head"))
    if head is None:
        return brand
    read = pb.SurgeHeadRow.FromString(head)
    _read_head(brand, read, rules)
    # With buckets of another length the counts of the last hour say nothing; what is usual stays known.
    same = read.bucket_us == rules.bucket_us
    counted, incidents = brand.counted, []
    for key, value in sorted(rows.items()):
        kind = key.split(b"\0")[1]
        if kind == b"series":
            for row in pb.SurgeShardRow.FromString(value).series:
                named, series = _series_from_row(row, rules, same)
                counted.series[named] = series
        elif kind == b"habits":
            for own_hours in pb.SurgeHabitsShardRow.FromString(value).habits:
                place = DIMENSIONS[own_hours.dimension], own_hours.value
                counted.habits[place] = Habits(list(own_hours.hours), own_hours.total)
        elif kind == b"quality":
            for record in pb.SurgeQualityShardRow.FromString(value).records:
                brand.quality.records[record.dimension, record.value] = Record(
                    record.orders, record.complaints, record.week
                )
        elif kind == b"recent" and same:
            recent = pb.SurgeRecentRow.FromString(value)
            kept = (complaint_from_proto(each) for each in recent.complaints)
            counted.recent[category_from_proto(recent.category), recent.bucket] = {each.ticket: each for each in kept}
        elif kind == b"incident":
            incidents.append(incident_from_row(pb.SurgeIncidentRow.FromString(value)))
    brand.incidents = {each.id: each for each in sorted(incidents, key=lambda i: (i.opened_us, i.id))}
    return brand


def _head(brand: Brand, rules: Rules) -> bytes:
    counted, quality = brand.counted, brand.quality
    head = pb.SurgeHeadRow(
        sources=brand.sources,
        born_us=counted.born_us,
        now_us=counted.now_us,
        hour=counted.hour,
        dropped=counted.dropped,
        unfollowed=counted.unfollowed,
        bucket_us=rules.bucket_us,
        suggested_us=brand.regions.suggested,
        quality_born_us=quality.born_us,
        quality_fitted=quality.fitted,
        seasons=[
            pb.SurgeSeasonRow(
                category=category_to_proto(category),
                counts=season.counts,
                exposure=season.exposure,
                lived=season.lived,
                pending=season.pending,
                factors=season.factors,
                doubts=season.doubts,
                shares=season.shares,
            )
            for category, season in counted.seasons.items()
        ],
        peers=[
            pb.SurgePeersRow(
                category=category_to_proto(category),
                dimension=DIMENSIONS.index(dimension),
                values=peers.values,
                count=peers.count,
            )
            for (category, dimension), peers in counted.peers.items()
        ],
        quality_peers=[
            pb.SurgeQualityPeersRow(dimension=dimension, mean=mean, strength=strength)
            for dimension, (mean, strength) in quality.peers.items()
        ],
    )
    for region, series in brand.regions.orders.items():
        _series_to_row(head.regions.add(), Key("", Dimension.REGION, region), series)
    return head.SerializeToString()


def _read_head(brand: Brand, head: pb.SurgeHeadRow, rules: Rules) -> None:
    counted, quality = brand.counted, brand.quality
    brand.sources = dict(head.sources)
    counted.born_us, counted.now_us, counted.hour = head.born_us, head.now_us, head.hour
    counted.dropped, counted.unfollowed = head.dropped, head.unfollowed
    for row in head.seasons:
        counted.seasons[category_from_proto(row.category)] = Season(
            counts=list(row.counts),
            exposure=list(row.exposure),
            lived=row.lived,
            pending=dict(row.pending),
            factors=list(row.factors),
            doubts=list(row.doubts),
            shares=list(row.shares),
        )
    for peers in head.peers:
        place = category_from_proto(peers.category), DIMENSIONS[peers.dimension]
        counted.peers[place] = Peers(peers.values, peers.count)
    for region in head.regions:
        _, series = _series_from_row(region, rules, head.bucket_us == rules.bucket_us)
        brand.regions.orders[region.value] = series
    brand.regions.suggested = dict(head.suggested_us)
    quality.born_us, quality.fitted = head.quality_born_us, head.quality_fitted
    quality.peers = {row.dimension: (row.mean, row.strength) for row in head.quality_peers}


def _series_to_row(row: pb.SurgeSeriesRow, key: Key, series: Series) -> None:
    row.category = category_to_proto(key.category)
    row.dimension = DIMENSIONS.index(key.dimension)
    row.value = key.value
    if series.kin != (key.dimension, key.value):
        row.shop = series.kin[1]
    row.head = series.head
    if series.total:
        newest = len(series.ring) - 1
        row.counts.extend(
            number for place, count in enumerate(series.ring) if count for number in (newest - place, count)
        )
    row.born, row.count = series.level.born, series.level.count
    row.hour, row.in_hour = series.hour, series.in_hour


def _series_from_row(row: pb.SurgeSeriesRow, rules: Rules, same: bool) -> tuple[Key, Series]:
    key = Key(category_from_proto(row.category), DIMENSIONS[row.dimension], row.value)
    kin = (Dimension.MERCHANT, row.shop) if row.shop else (key.dimension, key.value)
    ring = [0] * rules.size
    for age, count in zip(row.counts[::2], row.counts[1::2], strict=True):
        # A policy with shorter windows remembers less.
        if same and age < rules.size:
            ring[rules.size - 1 - age] = count
    series = Series(row.head if same else 0, ring, kin, Level(row.born, row.count), sum(ring), row.hour, row.in_hour)
    return key, series
