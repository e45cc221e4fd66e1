"""Check a plan's certificate: `bailiwick-check FILE`.

One file, long for that reason, that imports the standard library and h3 and nothing else: it can
be copied, read and run by someone who trusts none of the code that made the plan. What it checks,
and what the members of the file mean, stands in docs/certificate.md. All checks are linear in the
number of cells but the last: the lower bound looks at every pair of cell and territory.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h3.api.basic_int as h3

FORMAT, VERSION = "bailiwick-certificate", 1
OBJECTIVES = ("moment_of_inertia", "total_distance", "cut_edges")
PROJECTION = "lambert_azimuthal_equal_area"
ROOT = -1
# Sums in another order, and places by another library, differ by far less than this part.
SLACK = 1e-9
PLACE_SLACK_M = 0.001
DEGREES_SLACK = 1e-6
# A tolerance is held if it is missed by no more than rounding.
TOLERANCE_SLACK = 1e-9
MOST_FAULTS = 10
HOLDS, FAILS, UNREADABLE = 0, 1, 2

Point = tuple[float, float]
Pair = tuple[int, int]


class UnreadableError(Exception):
    """The file is no certificate; the message says why."""


@dataclass(frozen=True)
class Given:
    """A place that a centre is drawn to."""

    place: Point
    pull: float


@dataclass(frozen=True)
class Territory:
    """What the file says of a territory; numbers per measure in the order of `measures`."""

    code: str
    n_cells: int
    sums: list[float]
    targets: list[float]
    imbalance: list[float]
    centre: Point
    centre_cell: int | None
    given: Given | None
    price: float


@dataclass(frozen=True)
class Certificate:
    """A file as read: right in form, nothing checked yet."""

    measures: list[str]
    tolerances: list[float | None]
    limits: list[tuple[float | None, float | None]]
    totals: list[float]
    objective: str
    value: float
    bound: float | None
    gap: float | None
    cut_edges: int
    origin: Point
    radius_m: float
    territories: list[Territory]
    cells: list[int]
    owners: list[int]
    parents: list[int]
    activity: list[list[float]]
    bridges: dict[Pair, str]
    forbidden: set[Pair]
    violations: list[dict[str, Any]]
    not_proven: list[str]


def main() -> None:
    """Run the command: exit code 0 when the certificate holds, 1 when not, 2 when unreadable."""
    parser = argparse.ArgumentParser(
        prog="bailiwick-check", description="Check the certificate of a territory plan."
    )
    parser.add_argument("file", help="certificate, plain or gzip; - for standard input")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    parser.add_argument(
        "--skip-bound", action="store_true", help="leave out the check that is not linear"
    )
    options = parser.parse_args()
    try:
        certificate = read(_bytes(options.file))
    except (UnreadableError, OSError) as error:
        if options.json:
            sys.stdout.write(json.dumps({"verdict": "unreadable", "reason": str(error)}) + "\n")
        else:
            sys.stderr.write(f"{options.file} cannot be checked: {error}\n")
        sys.exit(UNREADABLE)
    verdict = check(certificate, skip_bound=options.skip_bound)
    sys.stdout.write(json.dumps(verdict, indent=2) if options.json else _in_words(verdict))
    sys.stdout.write("\n")
    sys.exit(HOLDS if verdict["verdict"] == "holds" else FAILS)


def check(certificate: Certificate, *, skip_bound: bool = False) -> dict[str, Any]:
    """Return the verdict: what was checked, with up to ten faults each, and what stays open."""
    results: list[dict[str, Any]] = []
    shared: dict[str, Any] = {}
    for title, inspect in CHECKS:
        if skip_bound and inspect is _bound:
            results.append({"check": title, "holds": None, "faults": [], "note": "left out"})
            continue
        faults = []
        for fault in inspect(certificate, shared):
            faults.append(fault)
            if len(faults) == MOST_FAULTS:
                break
        note = shared.pop("note", "")
        results.append({"check": title, "holds": not faults, "faults": faults, "note": note})
        if faults and inspect in NEEDED:
            break
    does_hold = all(result["holds"] is not False for result in results)
    return {
        "verdict": "holds" if does_hold else "does not hold",
        "n_cells": len(certificate.cells),
        "n_territories": len(certificate.territories),
        "checks": results,
        "violations": [violation.get("message", "") for violation in certificate.violations],
        "not_proven": certificate.not_proven,
    }


def _cells(certificate: Certificate, shared: dict[str, Any]) -> Iterator[str]:
    """Every cell is one, stands once, and lies inside no other."""
    index: dict[int, int] = {}
    for number, cell in enumerate(certificate.cells):
        if not h3.is_valid_cell(cell):
            yield f"cell {cell:x} is no H3 cell"
        elif cell in index:
            yield f"cell {cell:x} stands twice"
        index[cell] = number
    if any(not h3.is_valid_cell(cell) for cell in index):
        return
    levels = sorted({h3.get_resolution(cell) for cell in index})
    for cell in index:
        own = h3.get_resolution(cell)
        for coarser in levels:
            if coarser < own and h3.cell_to_parent(cell, coarser) in index:
                yield f"cell {cell:x} lies inside another, {h3.cell_to_parent(cell, coarser):x}"
    sizes = [0] * len(certificate.territories)
    for owner in certificate.owners:
        sizes[owner] += 1
    for territory, size in zip(certificate.territories, sizes, strict=True):
        if size != territory.n_cells or size == 0:
            yield f"territory {territory.code} has {size} cells, not {territory.n_cells}"
    shared.update(index=index, levels=levels)
    shared["note"] = f"{len(index):,} cells of resolution {', '.join(map(str, levels))}"


def _trees(certificate: Certificate, shared: dict[str, Any]) -> Iterator[str]:
    """Every cell hangs from one that stands before it and touches it, but one root each."""
    roots: list[int | None] = [None] * len(certificate.territories)
    used = set()
    for number, parent in enumerate(certificate.parents):
        owner = certificate.owners[number]
        code, cell = certificate.territories[owner].code, f"{certificate.cells[number]:x}"
        if parent == ROOT:
            if roots[owner] is not None:
                yield f"territory {code} has a second root, cell {cell}: it is in pieces"
            roots[owner] = number
            continue
        if parent >= number:
            yield f"cell {cell} hangs from a cell that does not stand before it"
            continue
        above = f"{certificate.cells[parent]:x}"
        if certificate.owners[parent] != owner:
            yield f"cell {cell} of {code} hangs from cell {above} of another territory"
            continue
        pair = (parent, number)
        if pair in certificate.bridges:
            used.add(certificate.bridges[pair])
        elif pair in certificate.forbidden:
            yield f"cell {cell} hangs from cell {above} across a barrier"
        elif not touch(certificate.cells[number], certificate.cells[parent]):
            yield f"cell {cell} does not touch cell {above}, from which it hangs"
    for territory, root in zip(certificate.territories, roots, strict=True):
        if root is None:
            yield f"territory {territory.code} has no root"
    shared["note"] = f"{len(roots)} trees"
    if used:
        shared["note"] += f", over the bridges {', '.join(sorted(used))}"


def touch(one: int, other: int) -> bool:
    """Tell whether two cells, of one resolution or of two, share an edge.

    Of two resolutions: whether a neighbour of the finer one has the coarser one as ancestor.
    """
    fine, coarse = sorted((one, other), key=h3.get_resolution, reverse=True)
    level = h3.get_resolution(coarse)
    if h3.get_resolution(fine) == level:
        return bool(h3.are_neighbor_cells(fine, coarse))
    around = h3.grid_disk(fine, 1)
    return any(cell != fine and h3.cell_to_parent(cell, level) == coarse for cell in around)


def _sums(certificate: Certificate, shared: dict[str, Any]) -> Iterator[str]:
    """Sums, totals, targets and imbalances are those of the cells."""
    for measure, name in enumerate(certificate.measures):
        values = certificate.activity[measure]
        shares: list[list[float]] = [[] for _ in certificate.territories]
        for number, value in enumerate(values):
            if value < 0:
                yield f"cell {certificate.cells[number]:x} has {value} {name}"
            shares[certificate.owners[number]].append(value)
        total, slack = math.fsum(values), SLACK * max(math.fsum(values), 1e-300)
        if not abs(total - certificate.totals[measure]) <= slack:
            yield f"the cells have {total!r} {name}, not {certificate.totals[measure]!r}"
        wanted = math.fsum(territory.targets[measure] for territory in certificate.territories)
        if not abs(wanted - total) <= max(slack, 1e-6 * total):
            yield f"the targets of {name} sum to {wanted!r}, the cells to {total!r}"
        for territory, share in zip(certificate.territories, shares, strict=True):
            found, target = math.fsum(share), territory.targets[measure]
            if not abs(found - territory.sums[measure]) <= slack:
                yield (
                    f"territory {territory.code} has {found!r} {name}, "
                    f"not {territory.sums[measure]!r}"
                )
            off = (found - target) / target if target > 0 else 0.0
            if not abs(off - territory.imbalance[measure]) <= 1e-6:
                yield (
                    f"territory {territory.code} is off its target of {name} by {off:+.6%}, "
                    f"not {territory.imbalance[measure]:+.6%}"
                )


def _tolerances(certificate: Certificate, shared: dict[str, Any]) -> Iterator[str]:
    """Tolerances and limits hold, or a violation says that they do not."""
    notes = []
    for measure, name in enumerate(certificate.measures):
        tolerance = certificate.tolerances[measure]
        worst = max(certificate.territories, key=lambda t: abs(t.imbalance[measure]))
        off = abs(worst.imbalance[measure])
        asked = "nothing" if tolerance is None else f"{tolerance:.3%}"
        notes.append(f"{name} within {off:.3%}, {asked} asked")
        if tolerance is None:
            pass
        elif off > tolerance + TOLERANCE_SLACK and not _is_said(certificate, "tolerance", name):
            yield (
                f"territory {worst.code} is off its target of {name} by {off:.4%}, more than "
                f"{tolerance:.4%}, and no violation says so"
            )
        least, most = certificate.limits[measure]
        for territory in certificate.territories:
            value = territory.sums[measure]
            slack = SLACK * abs(value)
            is_out = (least is not None and value < least - slack) or (
                most is not None and value > most + slack
            )
            if is_out and not _is_said(certificate, "limit", name):
                yield f"territory {territory.code} has {value} {name}, outside of its limits"
    shared["note"] = "; ".join(notes)


def _is_said(certificate: Certificate, kind: str, measure: str) -> bool:
    return any(
        violation.get("code") == f"{kind}_not_met"
        and violation.get("facts", {}).get("measure") == measure
        for violation in certificate.violations
    )


def _centres(certificate: Certificate, shared: dict[str, Any]) -> Iterator[str]:
    """Centres are what the objective says, drawn to given places as far as is stated."""
    places = shared["places"] = list(_places(certificate))
    away = _middle_is_off(certificate, shared)
    if away > DEGREES_SLACK:
        yield f"the projection is centred {away:.6f}° away from the middle of the cells"
    members: list[list[int]] = [[] for _ in certificate.territories]
    for number, owner in enumerate(certificate.owners):
        members[owner].append(number)
    shared["surcharge"] = []
    for territory, own in zip(certificate.territories, members, strict=True):
        extra = 0.0
        if certificate.objective == "total_distance":
            centre = _distance_centre(territory, own, places)
        else:
            free = centre = _centroid(own, places, certificate.activity[0])
            if territory.given is not None:
                pull, place = territory.given.pull, territory.given.place
                centre = (
                    free[0] + pull * (place[0] - free[0]), free[1] + pull * (place[1] - free[1])
                )  # fmt: skip
                extra = pull * (1 - pull) * math.dist(free, place) ** 2
        shared["surcharge"].append(extra if certificate.objective == OBJECTIVES[0] else 0.0)
        if centre is None:
            yield f"territory {territory.code} has a centre that is none of its cells"
        elif not math.dist(centre, territory.centre) <= PLACE_SLACK_M:
            yield (
                f"territory {territory.code} has its centre "
                f"{math.dist(centre, territory.centre):.3f} m from where the file puts it"
            )


def _distance_centre(territory: Territory, members: list[int], places: list[Point]) -> Point | None:
    """The cell a territory names, or its given place; between the two any point will do."""
    if territory.given is not None:
        return territory.given.place if territory.given.pull == 1 else territory.centre
    if territory.centre_cell not in members:
        return None
    return places[territory.centre_cell]


def _centroid(members: list[int], places: list[Point], weight: list[float]) -> Point:
    """Weighted mean of the places; the plain mean where nothing weighs anything."""
    parts = [weight[number] for number in members]
    if not any(parts):
        parts = [1.0] * len(members)
    mass = math.fsum(parts)
    x, y = (
        math.fsum(p * places[n][axis] for p, n in zip(parts, members, strict=True)) / mass
        for axis in (0, 1)
    )
    return x, y


def _places(certificate: Certificate) -> Iterator[Point]:
    """Centres of the cells in the plane: Lambert's azimuthal equal-area projection.

    Snyder, Map Projections: A Working Manual (USGS 1395), equations 24-2 to 24-4.
    """
    lon_0, lat_0 = (math.radians(degrees) for degrees in certificate.origin)
    sin_0, cos_0 = math.sin(lat_0), math.cos(lat_0)
    for cell in certificate.cells:
        lat, lon = (math.radians(degrees) for degrees in h3.cell_to_latlng(cell))
        sin, cos, turn = math.sin(lat), math.cos(lat), math.cos(lon - lon_0)
        ahead = 1 + sin_0 * sin + cos_0 * cos * turn
        scale = certificate.radius_m * math.sqrt(2 / max(ahead, 1e-12))
        yield scale * cos * math.sin(lon - lon_0), scale * (cos_0 * sin - sin_0 * cos * turn)


def _middle_is_off(certificate: Certificate, shared: dict[str, Any]) -> float:
    """Degrees between the projection's centre and the mean direction of the cells."""
    vectors = []
    for cell in certificate.cells:
        lat, lon = (math.radians(degrees) for degrees in h3.cell_to_latlng(cell))
        vectors.append(
            (math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat))
        )
    mean = [math.fsum(axis) for axis in zip(*vectors, strict=True)]
    length = math.hypot(*mean)
    if length < SLACK * len(vectors):
        return 0.0
    lon, lat = (math.radians(degrees) for degrees in certificate.origin)
    stated = (math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat))
    return math.degrees(math.dist(stated, [axis / length for axis in mean]))


def _cut(certificate: Certificate, shared: dict[str, Any]) -> Iterator[str]:
    """As many links between territories as the file says."""
    index, levels, owners = shared["index"], shared["levels"], certificate.owners
    cut = {pair for pair in certificate.bridges if owners[pair[0]] != owners[pair[1]]}
    for number, cell in enumerate(certificate.cells):
        own = h3.get_resolution(cell)
        for neighbour in h3.grid_disk(cell, 1):
            for level in levels:
                other = index.get(h3.cell_to_parent(neighbour, level) if level < own else neighbour)
                if other is not None and owners[other] != owners[number]:
                    pair = (min(number, other), max(number, other))
                    if pair not in certificate.forbidden:
                        cut.add(pair)
                if other is not None or level >= own:
                    break
    shared["note"] = f"{len(cut):,}"
    if len(cut) != certificate.cut_edges:
        yield f"{len(cut)} links are between territories, not {certificate.cut_edges}"


def _objective(certificate: Certificate, shared: dict[str, Any]) -> Iterator[str]:
    """The objective comes to what the file says."""
    shared["note"] = f"{certificate.objective} {certificate.value:.8g}"
    if certificate.objective == "cut_edges":
        if certificate.value != certificate.cut_edges:
            yield f"the objective is {certificate.cut_edges} cut edges, not {certificate.value}"
        return
    weight, places = certificate.activity[0], shared["places"]
    power = 2 if certificate.objective == "moment_of_inertia" else 1
    terms = []
    for number, owner in enumerate(certificate.owners):
        away = math.dist(places[number], certificate.territories[owner].centre)
        terms.append(weight[number] * (away**power + shared["surcharge"][owner]))
    value = math.fsum(terms)
    if not abs(value - certificate.value) <= SLACK * max(value, 1e-300) + SLACK:
        yield f"the {certificate.objective} of the plan is {value!r}, not {certificate.value!r}"


def _bound(certificate: Certificate, shared: dict[str, Any]) -> Iterator[str]:
    """The prices prove the bound, by weak duality, and the gap is what it says."""
    if certificate.bound is None:
        shared["note"] = "none is claimed"
        if certificate.objective != "cut_edges" or certificate.gap is not None:
            yield "there is no bound"
        return
    is_squared = certificate.objective == "moment_of_inertia"
    spots = [(*territory.centre, territory.price) for territory in certificate.territories]
    terms = []
    for weight, (x, y) in zip(certificate.activity[0], shared["places"], strict=True):
        if weight == 0:
            continue
        if is_squared:
            least = min((x - a) ** 2 + (y - b) ** 2 - price for a, b, price in spots)
        else:
            least = min(math.hypot(x - a, y - b) - price for a, b, price in spots)
        terms.append(weight * least)
    for territory, extra in zip(certificate.territories, shared["surcharge"], strict=True):
        terms.append(territory.sums[0] * (territory.price + extra))
    proven = max(math.fsum(terms), 0.0)
    slack = SLACK * max(proven, SLACK * math.fsum(abs(term) for term in terms))
    if not certificate.bound <= proven + slack:
        yield f"the prices prove a bound of {proven!r}, not of {certificate.bound!r}"
    if certificate.gap is None:
        shared["note"] = "a bound of 0 has no gap"
        if certificate.bound > 0:
            yield "there is no gap"
        return
    shared["note"] = f"{certificate.bound:.8g}, gap {certificate.gap:.4%}"
    gap = certificate.value / certificate.bound - 1 if certificate.bound > 0 else math.inf
    if not abs(gap - certificate.gap) <= SLACK:
        yield f"the gap is {gap:.6%}, not {certificate.gap:.6%}"


Inspection = Callable[[Certificate, dict[str, Any]], Iterator[str]]
CHECKS: tuple[tuple[str, Inspection], ...] = (
    ("every cell once", _cells),
    ("every territory connected", _trees),
    ("sums, totals and imbalances", _sums),
    ("tolerances and limits, or a violation", _tolerances),
    ("centres", _centres),
    ("cut edges", _cut),
    ("objective", _objective),
    ("lower bound (cells x territories)", _bound),
)
# What the checks after it rely on.
NEEDED = (_cells,)


def _in_words(verdict: dict[str, Any]) -> str:
    marks = {True: "holds", False: "FAILS", None: "skipped"}
    lines = [f"{verdict['n_territories']} territories of {verdict['n_cells']:,} cells"]
    for result in verdict["checks"]:
        line = f"  {marks[result['holds']]:8}{result['check']}"
        lines.append(f"{line}: {result['note']}" if result["note"] else line)
        lines += [f"          {fault}" for fault in result["faults"]]
    lines += [f"Violation: {message}" for message in verdict["violations"]]
    lines += [f"Open: {sentence}" for sentence in verdict["not_proven"]]
    return "\n".join([*lines, f"The certificate {verdict['verdict']}."])


def _bytes(name: str) -> bytes:
    data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError) as error:
        raise UnreadableError(f"broken gzip: {error}") from None


def read(data: bytes) -> Certificate:
    """Return a certificate from its JSON.

    Raises
    ------
    UnreadableError
        When a member is missing, of the wrong type or of the wrong length.
    """
    try:
        document = json.loads(data, parse_constant=_refuse_constant)
        if document["format"] != FORMAT or document["version"] != VERSION:
            raise UnreadableError(f"this is not {FORMAT} version {VERSION}")
        return _read(document)
    except (KeyError, IndexError) as error:
        raise UnreadableError(f"{error} is missing") from None
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise UnreadableError(str(error)) from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _read(document: dict[str, Any]) -> Certificate:
    measures = [str(name) for name in document["measures"]]
    cells = [int(text, 16) for text in document["cells"]]
    n_cells, n_measures = len(cells), len(measures)
    territories = [_territory(item, n_measures) for item in document["territories"]]
    if not cells or not territories or not measures:
        raise UnreadableError("there are no cells, no territories or no measures")
    objective, projection = document["objective"], document["projection"]
    if objective["name"] not in OBJECTIVES or objective["weight"] != measures[0]:
        raise UnreadableError("the objective is not known here")
    if projection["name"] != PROJECTION:
        raise UnreadableError("the projection is not known here")
    bound, gap = (None if objective[key] is None else _number(objective[key]) for key in BOUNDED)
    return Certificate(
        measures=measures,
        tolerances=[
            None if document["tolerances"][n] is None else _number(document["tolerances"][n])
            for n in range(n_measures)
        ],
        limits=[_limit(document["limits"][number]) for number in range(n_measures)],
        totals=_numbers(document["totals"], n_measures),
        objective=objective["name"],
        value=_number(objective["value"]),
        bound=bound,
        gap=gap,
        cut_edges=_whole(document["cut_edges"], 0, math.inf),
        origin=(_number(projection["lon"]), _number(projection["lat"])),
        radius_m=_number(projection["radius_m"]),
        territories=territories,
        cells=cells,
        owners=_indices(document["territory"], n_cells, 0, len(territories)),
        parents=_indices(document["parent"], n_cells, ROOT, n_cells),
        activity=[_numbers(document["activity"][name], n_cells) for name in measures],
        bridges={_pair(item["cells"], n_cells): str(item["name"]) for item in document["bridges"]},
        forbidden={_pair(item, n_cells) for item in document["forbidden"]},
        violations=[dict(item) for item in document["violations"]],
        not_proven=[str(item) for item in document["not_proven"]],
    )


BOUNDED = ("bound", "gap")


def _territory(item: dict[str, Any], n_measures: int) -> Territory:
    given, cell = item["given"], item["centre_cell"]
    x, y = _numbers(item["centre"], 2)
    return Territory(
        code=str(item["code"]),
        n_cells=_whole(item["n_cells"], 1, math.inf),
        sums=_numbers(item["sums"], n_measures),
        targets=_numbers(item["targets"], n_measures),
        imbalance=_numbers(item["imbalance"], n_measures),
        centre=(x, y),
        centre_cell=None if cell is None else _whole(cell, 0, math.inf),
        given=None
        if given is None
        else Given((_number(given["x_m"]), _number(given["y_m"])), _number(given["pull"])),
        price=_number(item["price"]),
    )


def _limit(item: dict[str, Any]) -> tuple[float | None, float | None]:
    least, most = (None if item[end] is None else _number(item[end]) for end in ("min", "max"))
    return least, most


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UnreadableError(f"{value!r} is no number")
    return float(value)


def _numbers(values: object, length: int) -> list[float]:
    if not isinstance(values, list) or len(values) != length:
        raise UnreadableError(f"a list of {length} numbers is missing")
    return [_number(value) for value in values]


def _whole(value: object, least: float, end: float) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < end:
        raise UnreadableError(f"{value!r} is no whole number from {least} to below {end}")
    return value


def _indices(values: object, length: int, least: int, end: int) -> list[int]:
    if not isinstance(values, list) or len(values) != length:
        raise UnreadableError(f"a list of {length} whole numbers is missing")
    return [_whole(value, least, end) for value in values]


def _pair(values: object, n_cells: int) -> Pair:
    one, other = sorted(_indices(values, 2, 0, n_cells))
    return one, other


if __name__ == "__main__":
    main()
