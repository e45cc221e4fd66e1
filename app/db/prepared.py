"""Statements written with SQLAlchemy like all others, but built and compiled once.

To build a statement of some size anew for each request takes longer than to send it.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, bindparam
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.types import TypeEngine

DIALECT: Any = PGDialect_psycopg()  # type: ignore[no-untyped-call]


def left_open(name: str, type_: TypeEngine[Any]) -> ColumnElement[Any]:
    """Return a value that is given each time a prepared statement is sent."""
    return bindparam(name, None, type_)


class Prepared:
    """A statement compiled for the driver, with the values that it was written with.

    With `plans_for_values` the database plans it anew each time, for the values it is sent with.
    """

    def __init__(self, statement: ClauseElement, *, plans_for_values: bool = False) -> None:
        compiled: Any = statement.compile(
            dialect=DIALECT, compile_kwargs={"render_postcompile": True}
        )
        self.text = str(compiled)
        self.plans_for_values = plans_for_values
        self._fixed: dict[str, Any] = compiled.construct_params()
        for name, bind in compiled.binds.items():
            process = bind.type.dialect_impl(DIALECT).bind_processor(DIALECT)
            if process is not None and self._fixed.get(name) is not None:
                self._fixed[name] = process(self._fixed[name])

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all values by the names in the text; `given` are those left open, as they are."""
        return {**self._fixed, **given}
