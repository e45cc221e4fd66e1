"""Which customers a list or a search is about: one meaning of each filter."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    TableValuedAlias,
    and_,
    func,
    literal,
    literal_column,
    or_,
    text,
)

from app.db.membership import belongs_to
from app.db.scope import Scope, may_name_rep, visible_territory_ids
from app.db.spatial import box, lies_in, reaches_edge
from app.db.tables import Customer, Territory
from app.db.tables.people import CLASSES, STATUSES
from geo.bbox import BoundingBox

NO_TAGS: ColumnElement[list[str]] = literal_column("'{}'", Customer.tags.type)

# For the transaction: how a filter is best answered depends on how many match its values, few with
# a rare tag, most with a common one.
PLAN_FOR_VALUES = text("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)")


@dataclass(frozen=True, slots=True)
class CustomerFilter:
    """Every member given must hold; empty members accept everything."""

    classes: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    not_visited_days: int | None = None
    territory_id: int | None = None
    rep_id: int | None = None
    bbox: BoundingBox | None = None
    external_id: str | None = None

    @property
    def may_be_rare(self) -> bool:
        """Whether only the values tell if few or many customers match."""
        is_by_state = bool(self.statuses) or self.not_visited_days is not None
        return self.is_found_by_value or is_by_state

    @property
    def is_found_by_value(self) -> bool:
        """Whether an index other than that of places may lead to the few that match."""
        return bool(self.segments or self.tags or self.is_of_territories)

    @property
    def is_of_territories(self) -> bool:
        """Whether customers are found from the cells of territories."""
        return self.territory_id is not None or self.rep_id is not None

    def conditions(
        self, scope: Scope, span: TableValuedAlias | None = None
    ) -> list[ColumnElement[bool]]:
        """Return the predicates on `customer`.

        The scope decides which territories and reps may be named: whoever could ask for the
        customers of a plan that is not in force yet would learn of it. With `span` the members of
        territories are looked for in these ranges of cells only (`app.db.membership.belongs_to`).
        """
        found: list[ColumnElement[bool]] = []
        if self.classes:
            found.append(_is_one_of(Customer.class_, self.classes, CLASSES))
        if self.segments:
            found.append(Customer.segment.in_(self.segments))
        if self.tags:
            # The second condition is that of the index.
            found += [Customer.tags.contains(list(self.tags)), Customer.tags != NO_TAGS]
        if self.statuses:
            found.append(_is_one_of(Customer.status, self.statuses, STATUSES))
        if self.external_id is not None:
            found.append(Customer.external_id == self.external_id)
        if self.not_visited_days is not None:
            since = func.now() - func.make_interval(0, 0, 0, self.not_visited_days)
            found.append(or_(Customer.last_visit_at.is_(None), Customer.last_visit_at < since))
        if self.bbox is not None:
            found.append(or_(*(_lies_in(part) for part in self.bbox.parts())))
        if self.territory_id is not None:
            found.append(belongs_to(Territory.id == self.territory_id, span))
            if not scope.is_unlimited:
                found.append(literal(self.territory_id).in_(visible_territory_ids(scope)))
        if self.rep_id is not None:
            theirs = visible_territory_ids(Scope(frozenset({self.rep_id})))
            found += [may_name_rep(scope, self.rep_id), belongs_to(Territory.id.in_(theirs), span)]
        return found


def _is_one_of(column: Any, wanted: Sequence[str], known: Sequence[str]) -> ColumnElement[bool]:
    """Match one of some known words, written into the statement.

    A plan that is kept for any values cannot use an index of one class (research: infra 2.3).
    """
    words: list[ColumnElement[str]] = [
        literal_column(f"'{word}'") for word in known if word in wanted
    ]
    found: ColumnElement[bool] = column.in_(words)
    return found


def _lies_in(part: BoundingBox) -> ColumnElement[bool]:
    corners = part.as_tuple()
    if reaches_edge(*corners):
        # A box without width is a line or a point: as a polygon it meets no pole.
        return lies_in(Customer.geom, func.ST_Envelope(box(*corners)), at_edge=True)
    # The index compares boxes rounded to single precision, up to a metre too wide.
    return and_(
        Customer.geom.op("&&")(box(*corners)),
        func.ST_X(Customer.geom).between(part.west, part.east),
        func.ST_Y(Customer.geom).between(part.south, part.north),
    )
