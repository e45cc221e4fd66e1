"""The table: for every field of a plan request, how it is honoured and how it conflicts.

A row says the same wish in the words of both ways, the API's JSON and the command line's options,
and what must come out of it.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import h3
import orjson

from tests.constraints.ground import (
    EAST,
    HOMES,
    NORTH,
    SOUTH,
    WEST,
    WITH_ISLAND,
    cell_at,
    line,
    rectangle,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A plan with the territory of each cell, or what was said instead."""

    plan: dict[str, Any] = field(default_factory=dict)
    cells: dict[str, str] = field(default_factory=dict)
    said: str = ""

    @property
    def codes(self) -> set[str]:
        return {violation["code"] for violation in self.plan["violations"]}

    def relaxations(self, code: str) -> list[dict[str, Any]]:
        return [v["relaxation"] for v in self.plan["violations"] if v["code"] == code]

    def owner(self, lon: float, lat: float) -> str:
        """Code of the territory of a point."""
        return self.cells[next(c for c in _ancestors(lon, lat) if c in self.cells)]

    def owners_in(self, area: dict[str, Any]) -> set[str]:
        """Codes of the territories of the cells with their centre in a rectangle."""
        (west, south), _, (east, north), *_ = area["coordinates"][0]
        places = {cell: h3.cell_to_latlng(cell) for cell in self.cells}
        return {
            self.cells[cell]
            for cell, (lat, lon) in places.items()
            if west < lon < east and south < lat < north
        }

    def row(self, code: str) -> dict[str, Any]:
        return next(row for row in self.plan["balance"] if row["code"] == code)

    def share(self, code: str) -> float:
        total = sum(row["work_minutes"] for row in self.plan["balance"])
        return float(self.row(code)["work_minutes"] / total)

    def members(self) -> dict[str, set[str]]:
        """Cells of each territory."""
        found = defaultdict(set)
        for cell, code in self.cells.items():
            found[code].add(cell)
        return found

    def crossing(self, lon: float) -> list[str]:
        """Territories with cells on both sides of a meridian."""
        sides = {
            code: {h3.cell_to_latlng(cell)[1] < lon for cell in cells}
            for code, cells in self.members().items()
        }
        return [code for code, found in sides.items() if len(found) > 1]


def _ancestors(lon: float, lat: float) -> list[str]:
    return [cell_at(lon, lat, resolution) for resolution in range(13)]


@dataclass(frozen=True, slots=True)
class Given:
    """What a row can refer to."""

    layers: dict[str, int]
    reps: dict[str, int]
    folder: Path
    first: Answer

    def file(self, content: Any) -> str:
        path = self.folder / f"given{len(list(self.folder.iterdir()))}.json"
        path.write_bytes(orjson.dumps(content))
        return str(path)

    def reps_of(self, *names: str) -> list[int]:
        return [self.reps[name] for name in names]


@dataclass(frozen=True, slots=True)
class Row:
    """One wish, said both ways. `number` is how many territories are asked for beside it."""

    field: str
    kind: Literal["honoured", "conflicting"]
    body: Callable[[Given], dict[str, Any]]
    words: Callable[[Given], list[str]]
    check: Callable[[Answer, Given], None]
    number: int | None = 3


def feasible(answer: Answer) -> None:
    assert answer.plan, answer.said
    assert answer.plan["violations"] == [], answer.plan["violations"]
    assert answer.plan["is_feasible"]


def refused(*words: str) -> Callable[[Answer, Given], None]:
    """The answer is a refusal that holds all words, of which alternatives stand beside `|`."""

    def check(answer: Answer, given: Given) -> None:
        assert answer.said, "a plan was made"
        for word in words:
            assert any(part in answer.said for part in word.split("|")), answer.said

    return check


def answered(code: str, pointer: str) -> Callable[[Answer, Given], None]:
    """The answer is a whole plan that says what it does not hold, and what would have to give."""

    def check(answer: Answer, given: Given) -> None:
        assert answer.plan, answer.said
        assert not answer.plan["is_feasible"]
        assert code in answer.codes, answer.plan["violations"]
        fields = [relaxation.get("field", "") for relaxation in answer.relaxations(code)]
        assert any(found.startswith(pointer) for found in fields), fields
        assert all(row["components"] == 1 for row in answer.plan["balance"])

    return check


def says(check: Callable[[Answer, Given], bool]) -> Callable[[Answer, Given], None]:
    """The plan holds everything, and something more."""

    def whole(answer: Answer, given: Given) -> None:
        feasible(answer)
        assert check(answer, given)

    return whole


def recorded(answer: Answer, field: str, member: str, value: Any) -> None:
    """The plan says what was asked."""
    assert answer.plan, answer.said
    assert answer.plan["parameters"][field][member] == value


FENCE = line((113.0, 29), (113.0, 32))
# Leaves a third of the ground to the west, so that three territories can keep to it.
THIRD = line((WEST + (EAST - WEST) / 3, 29), (WEST + (EAST - WEST) / 3, 32))
CENTRAL = rectangle(112.95, 30.42, 113.05, 30.58)
MOST = rectangle(WEST, SOUTH, EAST - 0.1, NORTH)
OCEAN = rectangle(-40, 10, -39, 11)
CORNER = cell_at(113.3, 30.3)
FERRY = {"name": "ferry", "from": [113.38, 30.5], "to": [113.72, 30.5]}
NO_FERRY = {"name": "ferry", "from": [113.38, 30.5], "to": [120.0, 30.5]}


def _is_like_first(answer: Answer, given: Given) -> bool:
    """The locked territory has exactly the cells it had."""
    return answer.members()["T02"] == given.first.members()["T02"]


# Tolerances that cannot both hold where the potential is thrice as dense in the east.
NEITHER: dict[str, Any] = {
    "tolerances": {"work_minutes": 0.001, "customers": None, "potential": 0.001},
    "n_territories": 7,
    "split_heavy_cells": False,
}


def _is_split(answer: Answer, given: Given) -> bool:
    return len(answer.plan["resolutions"]) > 1 and answer.plan["scores"]["splitting"]["n_split"] > 0


ROWS = [
    Row("layer_id", "honoured",
        lambda g: {"layer_id": g.layers["retail"]},
        lambda g: ["--layer", "retail"],
        says(lambda a, g: a.plan["layer_id"] == g.layers["retail"])),
    Row("layer_id", "conflicting",
        lambda g: {"layer_id": g.layers["nobody"]},
        lambda g: ["--layer", "nobody"],
        refused("no customers", "/layer_id")),
    Row("n_territories", "honoured",
        lambda g: {"n_territories": 4},
        lambda g: ["--territories", "4"],
        says(lambda a, g: a.plan["n_territories"] == 4 == len(a.plan["balance"]))),
    Row("n_territories", "conflicting",
        lambda g: {"n_territories": 2000},
        lambda g: ["--territories", "2000"],
        refused("more territories than customers", "/n_territories")),
    Row("capacity_minutes", "honoured",
        lambda g: {"capacity_minutes": 16_000, "n_territories": None},
        lambda g: ["--capacity", "16000"],
        says(lambda a, g: a.plan["n_territories"] == 3
             and a.plan["scores"]["sizing"]["decided_by"] == "capacity_minutes"
             and a.plan["scores"]["sizing"]["utilisation"] <= 1), number=None),
    Row("capacity_minutes", "conflicting",
        lambda g: {"capacity_minutes": 16_000, "n_territories": 2},
        lambda g: ["--capacity", "16000", "--territories", "2"],
        refused("/n_territories")),
    Row("shares", "honoured",
        lambda g: {"shares": [0.5, 0.3, 0.2], "n_territories": None},
        lambda g: ["--shares", "0.5,0.3,0.2"],
        says(lambda a, g: all(
            abs(a.share(code) / share - 1) <= 0.05
            for code, share in (("T01", 0.5), ("T02", 0.3), ("T03", 0.2)))), number=None),
    Row("shares", "conflicting",
        lambda g: {"shares": [0.5, 0.3, 0.1], "n_territories": None},
        lambda g: ["--shares", "0.5,0.3,0.1"],
        refused("/shares"), number=None),
    Row("rep_ids", "honoured",
        lambda g: {"rep_ids": g.reps_of("R1", "R2", "R3"), "n_territories": None},
        lambda g: ["--reps", "R1,R2,R3"],
        says(lambda a, g: abs(a.share("T01") / 0.5 - 1) <= 0.05
             and abs(a.share("T03") / 0.25 - 1) <= 0.05), number=None),
    Row("rep_ids", "conflicting",
        lambda g: {"rep_ids": [*g.reps_of("R1"), 999], "n_territories": None},
        lambda g: ["--reps", f"{g.reps['R1']},999"],
        refused("/rep_ids/1"), number=None),
    Row("name", "honoured",
        lambda g: {"name": "Spring"},
        lambda g: ["--name", "Spring"],
        says(lambda a, g: a.plan["name"] == "Spring")),
    Row("name", "conflicting",
        lambda g: {"name": ""}, lambda g: ["--name", ""], refused("/name|name:")),
    Row("tolerances", "honoured",
        lambda g: {"tolerances": {"work_minutes": 0.03, "customers": None, "potential": 0.06}},
        lambda g: ["--tolerance", "0.03", "--tolerance", "customers=none",
                   "--tolerance", "potential=0.06"],
        says(lambda a, g: set(a.plan["max_imbalance"]) == {"work_minutes", "potential"}
             and a.plan["max_imbalance"]["work_minutes"] <= 0.03
             and a.plan["max_imbalance"]["potential"] <= 0.06)),
    Row("tolerances", "conflicting",
        lambda g: {"tolerances": {"work_minutes": 0.001}, "n_territories": 7},
        lambda g: ["--tolerance", "0.001", "--territories", "7"],
        answered("tolerance_not_met", "/tolerances/work_minutes")),
    Row("weights", "honoured",
        lambda g: {"weights": {"work_minutes": 100}, **NEITHER},
        lambda g: ["--weight", "work_minutes=100", "--territories", "7",
                   "--tolerance", "0.001", "--tolerance", "customers=none",
                   "--tolerance", "potential=0.001", "--no-split-heavy-cells"],
        # That the weights count: tests/constraints/test_answers.py.
        lambda a, g: recorded(a, "weights", "work_minutes", 100)),
    Row("weights", "conflicting",
        lambda g: {"weights": {"customers": 0}},
        lambda g: ["--weight", "customers=0"],
        refused("/weights/customers|weights.customers")),
    Row("limits", "honoured",
        lambda g: {"limits": {"potential": {"min": 25_000}}},
        lambda g: ["--limit", "potential=25000.."],
        says(lambda a, g: all(row["potential"] >= 25_000 for row in a.plan["balance"]))),
    Row("limits", "conflicting",
        lambda g: {"limits": {"customers": {"min": 400}}},
        lambda g: ["--limit", "customers=400.."],
        answered("limit_not_met", "/limits/customers/min")),
    Row("objective", "honoured",
        lambda g: {"objective": "cut_edges"},
        lambda g: ["--objective", "cut_edges"],
        says(lambda a, g: a.plan["scores"]["objective"]["name"] == "cut_edges"
             and a.plan["scores"]["objective"]["value"] == a.plan["scores"]["cut_edges"])),
    Row("objective", "conflicting",
        lambda g: {"objective": "roundness"},
        lambda g: ["--objective", "roundness"],
        refused("/objective|objective")),
    Row("homes", "honoured",
        lambda g: {"rep_ids": g.reps_of("R1", "R2", "R3"), "homes": "fixed"},
        lambda g: ["--reps", "R1,R2,R3", "--homes", "fixed"],
        says(lambda a, g: [a.owner(*HOMES[name]) for name in ("R1", "R2", "R3")]
             == ["T01", "T02", "T03"])),
    Row("homes", "conflicting",
        lambda g: {"homes": "preferred"}, lambda g: ["--homes", "preferred"], refused("/homes")),
    Row("lock_homes", "honoured",
        lambda g: {"rep_ids": g.reps_of("R3", "R1", "R2"), "lock_homes": True},
        lambda g: ["--reps", "R3,R1,R2", "--lock-homes"],
        says(lambda a, g: [a.owner(*HOMES[name]) for name in ("R3", "R1", "R2")]
             == ["T01", "T02", "T03"])),
    Row("lock_homes", "conflicting",
        lambda g: {"rep_ids": g.reps_of("R1", "R2", "R4"), "lock_homes": True},
        lambda g: ["--reps", "R1,R2,R4", "--lock-homes"],
        refused("/rep_ids/2")),
    Row("centres", "honoured",
        lambda g: {"centres": [{"territory": "T03", "lon": 112.7, "lat": 30.5, "pull": 0.8}]},
        lambda g: ["--centre", "T03=112.7,30.5,0.8"],
        says(lambda a, g: a.owner(112.7, 30.5) == "T03")),
    Row("centres", "conflicting",
        lambda g: {"centres": [{"territory": "T04", "lon": 112.7, "lat": 30.5}]},
        lambda g: ["--centre", "T04=112.7,30.5"],
        refused("/centres/0/territory")),
    Row("locks", "honoured",
        lambda g: {"locks": [{"territory": "T02", "cells": [CORNER]}]},
        lambda g: ["--lock", f"T02={CORNER}"],
        says(lambda a, g: a.cells[CORNER] == "T02")),
    Row("locks", "conflicting",
        lambda g: {"locks": [{"territory": code, "cells": [CORNER]} for code in ("T01", "T02")]},
        lambda g: ["--lock", f"T01={CORNER}", "--lock", f"T02={CORNER}"],
        answered("locks_conflict", "/locks/1")),
    Row("locked_territories", "honoured",
        lambda g: {"locked_territories": {"plan_id": g.first.plan["id"], "codes": ["T02"]},
                   "n_territories": 4},
        lambda g: ["--lock-territories", f"{g.first.plan['id']}:T02", "--territories", "4"],
        says(_is_like_first)),
    Row("locked_territories", "conflicting",
        lambda g: {"locked_territories": {"plan_id": g.first.plan["id"], "codes": ["T02", "T09"]},
                   "n_territories": 9},
        lambda g: ["--lock-territories", f"{g.first.plan['id']}:T02,T09", "--territories", "9"],
        refused("/locked_territories/codes/1")),
    Row("keep_together", "honoured",
        lambda g: {"keep_together": [{"area": CENTRAL}]},
        lambda g: ["--keep-together", g.file(CENTRAL)],
        says(lambda a, g: len(a.owners_in(CENTRAL)) == 1)),
    Row("keep_together", "conflicting",
        lambda g: {"keep_together": [{"area": MOST}]},
        lambda g: ["--keep-together", g.file(MOST)],
        answered("group_too_heavy", "/keep_together")),
    Row("barriers", "honoured",
        lambda g: {"barriers": [{"geometry": FENCE}], "n_territories": 4},
        lambda g: ["--barrier", g.file(FENCE), "--territories", "4"],
        says(lambda a, g: a.crossing(113.0) == [])),
    Row("barriers", "conflicting",
        lambda g: {"barriers": [{"geometry": FENCE}], "keep_together": [{"area": CENTRAL}],
                   "n_territories": 4},
        lambda g: ["--barrier", g.file(FENCE), "--keep-together", g.file(CENTRAL),
                   "--territories", "4"],
        answered("group_disconnected", "/keep_together/0")),
    Row("discouraged", "honoured",
        lambda g: {"discouraged": [{"geometry": FENCE, "strength": 50}], "n_territories": 4,
                   "objective": "cut_edges"},
        lambda g: ["--discourage", f"{g.file(FENCE)}:50", "--territories", "4",
                   "--objective", "cut_edges"],
        says(lambda a, g: a.crossing(113.0) == [])),
    Row("discouraged", "conflicting",
        lambda g: {"discouraged": [{"geometry": {"type": "Point", "coordinates": [113, 30]}}]},
        lambda g: ["--discourage", g.file({"type": "Point", "coordinates": [113, 30]})],
        refused("/discouraged/0/geometry")),
    Row("bridges", "honoured",
        lambda g: {"region": WITH_ISLAND, "bridges": [FERRY]},
        lambda g: ["--region", g.file(WITH_ISLAND),
                   "--bridge", "ferry=113.38,30.5:113.72,30.5"],
        says(lambda a, g: a.plan["scores"]["bridges"] == [{"name": "ferry", "is_used": True}]
             and a.owner(113.78, 30.5) == a.owner(113.38, 30.5))),
    Row("bridges", "conflicting",
        lambda g: {"bridges": [NO_FERRY]},
        lambda g: ["--bridge", "ferry=113.38,30.5:120.0,30.5"],
        refused("/bridges/0/to")),
    Row("max_radius_km", "honoured",
        lambda g: {"max_radius_km": 45},
        lambda g: ["--max-radius-km", "45"],
        says(lambda a, g: all(row["radius_km"] <= 45 for row in a.plan["balance"]))),
    Row("max_radius_km", "conflicting",
        lambda g: {"max_radius_km": 8},
        lambda g: ["--max-radius-km", "8"],
        answered("radius_exceeded", "/max_radius_km")),
    Row("split_heavy_cells", "honoured",
        lambda g: {"layer_id": g.layers["heavy"], "n_territories": 4},
        lambda g: ["--layer", "heavy", "--split-heavy-cells", "--territories", "4"],
        says(_is_split)),
    Row("split_heavy_cells", "conflicting",
        lambda g: {"layer_id": g.layers["heavy"], "n_territories": 4, "split_heavy_cells": False},
        lambda g: ["--layer", "heavy", "--no-split-heavy-cells", "--territories", "4"],
        answered("unit_too_heavy", "/n_territories")),
    Row("resolution", "honoured",
        lambda g: {"resolution": 5},
        lambda g: ["--resolution", "5", "--no-split-heavy-cells"],
        says(lambda a, g: a.plan["resolutions"][0] == 5)),
    Row("resolution", "conflicting",
        lambda g: {"resolution": 3, "n_territories": 5, "split_heavy_cells": False},
        lambda g: ["--resolution", "3", "--territories", "5", "--no-split-heavy-cells"],
        refused("cells", "/n_territories")),
    Row("region", "honoured",
        lambda g: {"region": rectangle(112.8, 30.3, 113.2, 30.7)},
        lambda g: ["--region", g.file(rectangle(112.8, 30.3, 113.2, 30.7))],
        says(lambda a, g: 112.7 < a.plan["bbox"][0] < a.plan["bbox"][2] < 113.3)),
    Row("region", "conflicting",
        lambda g: {"region": OCEAN},
        lambda g: ["--region", g.file(OCEAN)],
        refused("/region")),
    Row("seed", "honoured",
        lambda g: {"seed": 1, "n_territories": 4},
        lambda g: ["--seed", "1", "--territories", "4"],
        says(lambda a, g: a.cells == g.first.cells)),
    Row("seed", "conflicting",
        lambda g: {"seed": 2**32},
        lambda g: ["--seed", str(2**32)],
        refused("/seed|seed")),
]  # fmt: skip
