"""What a caller may see, as one SQL predicate that every repository takes.

Planners, admins and viewers see everything. A rep sees what lies in the territories that are theirs
now: through the cell of a customer, or through a named account (`customer_override`), which wins
over the cell. A manager sees what the reps below them see.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, false, func, select, true
from sqlalchemy.sql.selectable import Select

from app.db.membership import belongs_to, in_territories
from app.db.tables import Plan, Publication, Rep, Territory, TerritoryOwner


@dataclass(frozen=True, slots=True)
class Scope:
    """Sees everything when `rep_ids` is None, else only what those reps are responsible for."""

    rep_ids: frozenset[int] | None = None

    @property
    def is_unlimited(self) -> bool:
        """Whether no predicate is needed."""
        return self.rep_ids is None

    @property
    def key(self) -> str:
        """A text that differs between scopes, for cache keys and ETags."""
        return "all" if self.rep_ids is None else ",".join(map(str, sorted(self.rep_ids)))


EVERYTHING = Scope()


def in_force() -> ColumnElement[bool]:
    """Publications whose range holds the present instant."""
    return Publication.during.contains(func.now())


def visible_territory_ids(scope: Scope) -> Select[int]:
    """Select the territories in force that are the scope's own now."""
    return (
        select(Territory.id)
        .join(Publication, Publication.plan_id == Territory.plan_id)
        .join(TerritoryOwner, TerritoryOwner.territory_id == Territory.id)
        .where(
            in_force(),
            TerritoryOwner.during.contains(func.now()),
            TerritoryOwner.rep_id.in_(scope.rep_ids or ()),
        )
    )


def customers(scope: Scope) -> ColumnElement[bool]:
    """Return the predicate on `customer` for this scope."""
    return true() if scope.is_unlimited else in_territories(visible_territory_ids(scope))


def customers_at_large(scope: Scope) -> ColumnElement[bool]:
    """Return the predicate for statements in which nothing else leaves few customers.

    The same customers as `customers` matches, but found from the cells of the scope's territories:
    that one asks every customer of the table for its territory when no index has narrowed them.
    """
    if scope.is_unlimited:
        return true()
    return belongs_to(Territory.id.in_(visible_territory_ids(scope)))


def territories(scope: Scope) -> ColumnElement[bool]:
    """Return the predicate on `territory` for this scope."""
    if scope.rep_ids is None:
        return true()
    return Territory.id.in_(visible_territory_ids(scope))


def reps(scope: Scope) -> ColumnElement[bool]:
    """Return the predicate on `rep`: themselves and, for a manager, those below."""
    return true() if scope.rep_ids is None else Rep.id.in_(scope.rep_ids)


def may_name_rep(scope: Scope, rep_id: int) -> ColumnElement[bool]:
    """Return whether a caller may ask for what is this rep's, as a predicate."""
    return true() if scope.rep_ids is None or rep_id in scope.rep_ids else false()


def plans(scope: Scope) -> ColumnElement[bool]:
    """Return the predicate on `plan`: limited callers see plans in force that name them."""
    if scope.rep_ids is None:
        return true()
    mine = visible_territory_ids(scope)
    return Plan.id.in_(select(Territory.plan_id).where(Territory.id.in_(mine)))
