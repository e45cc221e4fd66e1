"""When the next visit of a customer is due, as SQL; `app.workload.due_on` says the same of one."""

from typing import Any

from sqlalchemy import ColumnElement, Date, Integer, case, cast, func, literal, null, or_

from app.db.tables import Customer
from app.settings import WorkSettings
from app.workload import FEWEST_VISITS, NEVER_VISITED

CUSTOMER = Customer.__table__.c


def due_on(settings: WorkSettings, row: Any = CUSTOMER) -> ColumnElement[Any]:
    """Return the local date by which the next visit is due, from columns named as `customer`'s."""
    classes = {name: service.visits_per_year for name, service in settings.classes.items()}
    by_class = case(classes, value=row["class"], else_=classes[settings.default_class])
    visits = func.coalesce(row.visits_per_year, by_class)
    days = func.floor(365 / func.greatest(visits, FEWEST_VISITS))
    visited_on = cast(func.timezone(settings.time_zone, row.last_visit_at), Date)
    return case(
        (or_(row.status == "inactive", visits <= 0), null()),
        (row.last_visit_at.is_(None), literal(NEVER_VISITED)),
        else_=visited_on + cast(days, Integer),
    )
