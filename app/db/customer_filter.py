"""Which customers a list or a search is about: one meaning of each filter."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, literal, or_

from app.db.membership import belongs_to
from app.db.scope import Scope, visible_territory_ids
from app.db.spatial import box
from app.db.tables import Customer
from geo.bbox import BoundingBox


@dataclass(frozen=True, slots=True)
class CustomerFilter:
    """Every member given must hold; empty members accept everything."""

    classes: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    not_visited_days: int | None = None
    territory_id: int | None = None
    bbox: BoundingBox | None = None
    external_id: str | None = None

    def conditions(self, scope: Scope) -> list[ColumnElement[bool]]:
        """Return the predicates on `customer`.

        The scope decides which territories may be named: whoever could ask for the customers of a
        plan that is not in force yet would learn of it.
        """
        found: list[ColumnElement[bool]] = []
        if self.classes:
            found.append(Customer.class_.in_(self.classes))
        if self.segments:
            found.append(Customer.segment.in_(self.segments))
        if self.tags:
            found.append(Customer.tags.contains(list(self.tags)))
        if self.statuses:
            found.append(Customer.status.in_(self.statuses))
        if self.external_id is not None:
            found.append(Customer.external_id == self.external_id)
        if self.not_visited_days is not None:
            since = func.now() - func.make_interval(0, 0, 0, self.not_visited_days)
            found.append(or_(Customer.last_visit_at.is_(None), Customer.last_visit_at < since))
        if self.bbox is not None:
            found.append(or_(*(_lies_in(part) for part in self.bbox.parts())))
        if self.territory_id is not None:
            found.append(belongs_to(self.territory_id))
            if not scope.is_unlimited:
                found.append(literal(self.territory_id).in_(visible_territory_ids(scope)))
        return found


def _lies_in(part: BoundingBox) -> ColumnElement[bool]:
    # The index compares boxes rounded to single precision, up to a metre too wide.
    return and_(
        Customer.geom.op("&&")(box(*part.as_tuple())),
        func.ST_X(Customer.geom).between(part.west, part.east),
        func.ST_Y(Customer.geom).between(part.south, part.north),
    )
