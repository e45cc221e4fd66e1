"""What a plan request must hold by itself, before anything is looked up or computed."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from app.errors import Fault, InvalidInput
from app.plans.request import MEASURES, PlanRequest, territory_number
from geo.cells import cells_from_text
from geo.errors import CellError, GeometryError
from geo.geojson import barrier_from_geojson, polygon_from_geojson

# Rounding in decimal fractions typed by people stays far below this.
SHARE_SUM_SLACK = 1e-6


def refuse_contradictions(request: PlanRequest) -> None:
    """Refuse a request whose parts do not fit each other or are not what they should be.

    Raises
    ------
    InvalidInput
        With a fault for each, pointing to the field.
    """
    checks: tuple[Callable[[PlanRequest], Iterator[Fault]], ...] = (
        _number, _shares, _reps, _limits, _codes, _doubles, _groups, _cells, _geometries,
    )  # fmt: skip
    faults = [fault for check in checks for fault in check(request)]
    if faults:
        count = f"{len(faults)} wrong value" + ("s" if len(faults) != 1 else "")
        raise InvalidInput(f"The request has {count}.", faults)


def _number(request: PlanRequest) -> Iterator[Fault]:
    """One field says how many territories there are, and what else says it agrees."""
    given = {
        "n_territories": request.n_territories,
        "shares": None if request.shares is None else len(request.shares),
        "rep_ids": None if request.rep_ids is None else len(request.rep_ids),
    }
    numbers = {name: number for name, number in given.items() if number is not None}
    if request.capacity_minutes is not None:
        for name in numbers:
            detail = f"{name} and capacity_minutes both say how many territories there are"
            yield Fault("contradiction", detail, f"/{name}")
        return
    if not numbers:
        detail = "one of n_territories, capacity_minutes, shares or rep_ids is needed"
        yield Fault("missing", detail, "/n_territories")
    if request.shares is not None and request.rep_ids is not None:
        detail = "shares come from the capacities of the reps; give one of the two"
        yield Fault("contradiction", detail, "/shares")
    elif len(set(numbers.values())) > 1:
        detail = " but ".join(f"{number} by {name}" for name, number in numbers.items())
        yield Fault("contradiction", f"{detail}", "/n_territories")


def _shares(request: PlanRequest) -> Iterator[Fault]:
    if request.shares is None:
        return
    total = math.fsum(request.shares)
    if abs(total - 1) > SHARE_SUM_SLACK:
        yield Fault("sum", f"the shares sum to {total:g}, not to 1", "/shares")


def _reps(request: PlanRequest) -> Iterator[Fault]:
    if request.rep_ids is None:
        if request.homes != "ignore":
            yield Fault("needs-reps", "homes are those of rep_ids, which are missing", "/homes")
        if request.lock_homes:
            yield Fault(
                "needs-reps", "homes are those of rep_ids, which are missing", "/lock_homes"
            )
        return
    seen: set[int] = set()
    for index, rep_id in enumerate(request.rep_ids):
        if rep_id in seen:
            yield Fault("repeated", f"rep {rep_id} stands here twice", f"/rep_ids/{index}")
        seen.add(rep_id)


def _limits(request: PlanRequest) -> Iterator[Fault]:
    for name in MEASURES:
        limit = getattr(request.limits, name)
        if limit.min is not None and limit.max is not None and limit.min > limit.max:
            detail = f"at least {limit.min:g} but at most {limit.max:g}"
            yield Fault("contradiction", detail, f"/limits/{name}/min")


def _codes(request: PlanRequest) -> Iterator[Fault]:
    """Codes of territories that will be there, as far as their number is known."""
    most = request.stated_number
    for code, pointer in request.named_codes():
        number = territory_number(code) + 1
        if number < 1 or (most is not None and number > most):
            detail = f"there is no territory {code}" + (f" of {most}" if most else "")
            yield Fault("missing-territory", detail, pointer)


def _doubles(request: PlanRequest) -> Iterator[Fault]:
    seen: Counter[int] = Counter()
    for index, centre in enumerate(request.centres):
        number = territory_number(centre.territory)
        seen[number] += 1
        if seen[number] > 1:
            detail = f"{centre.territory} has a centre already"
            yield Fault("repeated", detail, f"/centres/{index}/territory")
    if request.locked_territories is None:
        return
    seen.clear()
    for index, code in enumerate(request.locked_territories.codes):
        seen[territory_number(code)] += 1
        if seen[territory_number(code)] > 1:
            yield Fault("repeated", f"{code} stands twice", f"/locked_territories/codes/{index}")


def _groups(request: PlanRequest) -> Iterator[Fault]:
    for index, group in enumerate(request.keep_together):
        if (group.cells is None) == (group.area is None):
            yield Fault("one-of", "either cells or an area is needed", f"/keep_together/{index}")


def _cells(request: PlanRequest) -> Iterator[Fault]:
    for index, lock in enumerate(request.locks):
        yield from cell_faults(lock.cells, f"/locks/{index}/cells")
    for index, group in enumerate(request.keep_together):
        yield from cell_faults(group.cells or [], f"/keep_together/{index}/cells")


def cell_faults(cells: list[str], pointer: str) -> Iterator[Fault]:
    """Yield a fault for each text that is no H3 cell."""
    try:
        cells_from_text(cells)
    except CellError as error:
        for index in error.facts.get("indices", [0]):
            yield Fault("not-a-cell", f"{cells[index]!r} is no H3 cell", f"{pointer}/{index}")


def _geometries(request: PlanRequest) -> Iterator[Fault]:
    if request.region is not None:
        yield from geometry_faults(polygon_from_geojson, request.region, "/region")
    for index, group in enumerate(request.keep_together):
        if group.area is not None:
            pointer = f"/keep_together/{index}/area"
            yield from geometry_faults(polygon_from_geojson, group.area, pointer)
    for field in ("barriers", "discouraged"):
        for index, wish in enumerate(getattr(request, field)):
            pointer = f"/{field}/{index}/geometry"
            yield from geometry_faults(barrier_from_geojson, wish.geometry, pointer)


def geometry_faults(
    read: Callable[[Any], object], geometry: dict[str, Any], pointer: str
) -> Iterator[Fault]:
    """Yield what is wrong with a geometry."""
    try:
        read(geometry)
    except GeometryError as error:
        yield Fault(error.code.replace("_", "-"), error.message, f"{pointer}{error.pointer}")
