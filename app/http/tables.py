"""Tables in answers."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from fastapi import Response


def as_csv(lines: Iterable[Iterable[Any]]) -> Response:
    """Return lines, the first of which names the columns, as a CSV document."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8")
