"""Statements written with SQLAlchemy like all others, but built and compiled once.

To build a statement of some size anew for each request takes longer than to send it.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, TableValuedAlias, bindparam, column, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.types import TypeEngine

DIALECT: Any = PGDialect_psycopg()  # type: ignore[no-untyped-call]


def left_open(name: str, type_: TypeEngine[Any]) -> ColumnElement[Any]:
    """Return a value that is given each time a prepared statement is sent."""
    return bindparam(name, None, type_)


def open_table(name: str, **types: Any) -> TableValuedAlias:
    """Return a table whose columns, of these types, are left open, given as `written` writes them.

    Its rows are in the order of the values.
    """
    arrays = [left_open(column_name, ARRAY(type_)) for column_name, type_ in types.items()]
    columns = [column(column_name, type_) for column_name, type_ in types.items()]
    return func.unnest(*arrays).table_valued(*columns).render_derived(name)


def written(numbers: NDArray[Any], is_told: NDArray[np.bool_] | None = None) -> str:
    """Return numbers as the database writes an array: the driver takes longer over every number.

    Those that are not told are NULL.
    """
    words = [str(number) for number in numbers.tolist()]
    if is_told is not None:
        told = is_told.tolist()
        words = [word if told[i] else "NULL" for i, word in enumerate(words)]
    return f"{{{','.join(words)}}}"


class Planned(StrEnum):
    """How often the database plans a statement; the values are those of `plan_cache_mode`."""

    AS_IT_SEES_FIT = "auto"
    # For the values of each time: where they decide which road is right.
    FOR_VALUES = "force_custom_plan"
    # Where the same road is right for all values, though the database, which expects other numbers
    # of rows than there are, would think about it each time.
    ONCE = "force_generic_plan"


class Prepared:
    """A statement compiled for the driver, with the values that it was written with."""

    def __init__(self, statement: ClauseElement, planned: Planned = Planned.AS_IT_SEES_FIT) -> None:
        compiled: Any = statement.compile(
            dialect=DIALECT, compile_kwargs={"render_postcompile": True}
        )
        self.text = str(compiled)
        self.planned = planned
        self._fixed: dict[str, Any] = compiled.construct_params()
        for name, bind in compiled.binds.items():
            process = bind.type.dialect_impl(DIALECT).bind_processor(DIALECT)
            if process is not None and self._fixed.get(name) is not None:
                self._fixed[name] = process(self._fixed[name])

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all values by the names in the text; `given` are those left open, as they are."""
        return {**self._fixed, **given}
