"""The merge of staged rows into customers or reps, one statement for all of them.

Fields that the file has no column for keep what is stored; new rows get their defaults. Rows that
are as stored are not touched, not even locked.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Subquery,
    Table,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, TEXT, insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.due import due_on
from app.db.session import WriteSession
from app.db.tables import Customer, Rep
from app.imports.fields import CUSTOMERS, LABEL_SEPARATOR, Kind
from app.imports.staging import STAGED_FAULTS, STAGED_WORK
from app.settings import WorkSettings

TARGETS: dict[str, Any] = {"customers": Customer.__table__, "reps": Rep.__table__}
GEOMETRY = {"customers": "geom", "reps": "home"}
# Where a file without surprises ends: more duplicates than this are counted but not listed.
MOST_LISTED = 100_000


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the rows that could be read."""

    created: int
    updated: int
    unchanged: int
    # Of the rows that are new, as PostgreSQL writes an `int8multirange`; null where there are none.
    new_ids: str | None = None


async def refuse_duplicates(session: WriteSession, rows: Table) -> int:
    """Take every later row with an id out of the staged rows and list it; return how many."""
    repeated = (
        select(rows.c.external_id, func.min(rows.c.row).label("first"))
        .group_by(rows.c.external_id)
        .having(func.count() > 1)
        .subquery()
    )
    is_later = (rows.c.external_id == repeated.c.external_id) & (rows.c.row > repeated.c.first)
    removed = (
        rows.delete().where(is_later).returning(rows.c.row, rows.c.external_id, repeated.c.first)
    )
    later = removed.cte("later")
    detail = func.concat(later.c.external_id, " is the id of row ", later.c.first, " already")
    listed = (
        select(later.c.row, literal("external_id"), literal("duplicate"), detail)
        .order_by(later.c.row)
        .limit(MOST_LISTED)
    )
    names = ["row", "field", "code", "detail"]
    listing = STAGED_FAULTS.insert().from_select(names, listed).cte("listing")
    statement = select(func.count()).select_from(later).add_cte(listing)
    return int(await session.scalar(statement) or 0)


async def merge(
    session: WriteSession,
    kind: Kind,
    rows: Table,
    fields: Collection[str],
    extras: list[str],
    work: WorkSettings,
    *,
    is_alone: bool = False,
) -> Counts:
    """Insert and update what differs from the stored rows.

    Parameters
    ----------
    session
        A transaction in which the rows are staged.
    kind, rows
        What is imported, and the temporary table of its rows.
    fields
        Fields that the file has a column for.
    extras
        Columns of the file that become attributes.
    work
        By which new customers are due; how much work they are is staged (`app.imports.work`), if
        not in the rows themselves.
    is_alone
        Whether the target is empty and locked: then nothing is compared, and no index is needed.
    """
    target = TARGETS[kind.name]
    fresh = _fresh(kind, rows)
    columns: dict[str, Any] = {name: column for name, column in fresh.c.items() if name != "row"}
    changed = select() if is_alone else _changed(target, fresh, fields, kind, extras)
    # Customers go in by cell, so that neighbours on the ground are neighbours in the heap.
    order = fresh.c.cell if kind is CUSTOMERS else fresh.c.external_id
    if kind is CUSTOMERS:
        changed = changed.outerjoin_from(fresh, STAGED_WORK, STAGED_WORK.c.row == fresh.c.row)
        # Written with the row: a million rows written twice cost more than all else.
        columns |= {
            "work_minutes": func.coalesce(STAGED_WORK.c.work_minutes, fresh.c.work_minutes, 0),
            "due_on": due_on(work, fresh.c),
        }
    changed = changed.add_columns(*columns.values()).order_by(order)
    statement = insert(target).from_select(list(columns), changed, include_defaults=False)
    updates = _updates(target, statement.excluded, fields, kind, extras)
    if is_alone:
        await session.execute(statement)
        # Nobody else has had an id meanwhile, so all from the first to the last are of this file.
        whole = func.int8range(func.min(target.c.id), func.max(target.c.id) + 1)
        new_ids = await session.scalar(select(cast(func.int8multirange(whole), TEXT)))
        return Counts(await _n_rows(session, rows), 0, 0, new_ids)
    if updates:
        statement = statement.on_conflict_do_update(
            index_elements=["external_id"],
            set_={**updates, "version": target.c.version + 1, "updated_at": func.now()},
            where=_differs(target, updates),
        )
    else:
        statement = statement.on_conflict_do_nothing(index_elements=["external_id"])
    merged = statement.returning(target.c.id, target.c.version).cte("merged")
    is_new = merged.c.version == 1
    done = await session.execute(
        select(
            func.count().filter(is_new),
            func.count().filter(~is_new),
            _as_ranges(merged.c.id, is_new),
        ).select_from(merged)
    )
    created, updated, new_ids = done.one()
    unchanged = await _n_rows(session, rows) - created - updated
    return Counts(created, updated, unchanged, new_ids)


async def foresee(
    session: WriteSession, kind: Kind, rows: Table, fields: Collection[str], extras: list[str]
) -> Counts:
    """Return what `merge` would do, without doing it."""
    target = TARGETS[kind.name]
    fresh = _fresh(kind, rows)
    changed = _changed(target, fresh, fields, kind, extras)
    is_new = target.c.id.is_(None)
    done = await session.execute(
        changed.add_columns(func.count().filter(is_new), func.count().filter(~is_new))
    )
    created, updated = done.one()
    return Counts(created, updated, await _n_rows(session, rows) - created - updated)


def _fresh(kind: Kind, rows: Table) -> Subquery:
    """Return the staged rows in the columns of the target."""
    lon, lat = rows.c[kind.lon], rows.c[kind.lat]
    # Where there is no place both are NULL, and so is the point.
    point = func.ST_SetSRID(func.ST_MakePoint(lon, lat), 4326)
    columns: list[ColumnElement[Any]] = [rows.c.row, point.label(GEOMETRY[kind.name])]
    for field in kind.fields:
        cell = rows.c[field.name]
        if field.type == "labels":
            columns.append(func.string_to_array(cell, LABEL_SEPARATOR).label(field.name))
        elif field.type != "coordinate":
            columns.append(cell)
    columns += [rows.c[name] for name in ("cell", "attributes", "work_minutes") if name in rows.c]
    return select(*columns).subquery("fresh")


def _changed(
    target: Any, fresh: Subquery, fields: Collection[str], kind: Kind, extras: list[str]
) -> Any:
    """Select, without columns yet, the rows that are new or differ from what is stored."""
    updates = _updates(target, fresh.c, fields, kind, extras)
    return (
        select()
        .select_from(fresh.outerjoin(target, target.c.external_id == fresh.c.external_id))
        .where(or_(target.c.id.is_(None), _differs(target, updates)))
    )


def _updates(
    target: Any, new: Any, fields: Collection[str], kind: Kind, extras: list[str]
) -> dict[str, Any]:
    """Return what an existing row takes over from the new one, by column of the target."""
    names = [
        field.name
        for field in kind.fields
        if field.name in fields and field.type != "coordinate" and field.name != "external_id"
    ]
    if kind.lon in fields:
        names += [GEOMETRY[kind.name], *(["cell"] if kind is CUSTOMERS else [])]
    updates = {name: new[name] for name in names}
    if kind.keeps_attributes and extras:
        # Only these keys are the file's: an empty cell takes one away, others stay.
        others = target.c.attributes.op("-")(literal(extras, ARRAY(TEXT)))
        updates["attributes"] = others.op("||")(new["attributes"])
    return updates


def _differs(target: Any, updates: dict[str, Any]) -> ColumnElement[bool]:
    if not updates:
        return false()
    stored = tuple_(*(target.c[name] for name in updates))
    return stored.is_distinct_from(tuple_(*updates.values()))


def _as_ranges(ids: ColumnElement[int], wanted: ColumnElement[bool]) -> ScalarSelect[str]:
    """Return wanted ids as the text of a multirange; such as follow one another are one range."""
    # Their distance to their place in the order is the same for all of one range.
    island = (ids - func.row_number().over(order_by=ids)).label("island")
    placed = select(ids.label("id"), island).where(wanted).subquery()
    first, last = func.min(placed.c.id), func.max(placed.c.id)
    ranges = select(func.int8range(first, last + 1).label("ids")).group_by(placed.c.island)
    return select(cast(func.range_agg(ranges.subquery().c.ids), TEXT)).scalar_subquery()


async def _n_rows(session: AsyncSession, rows: Table) -> int:
    return int(await session.scalar(select(func.count()).select_from(rows)) or 0)
