"""The wishes of a request in the solver's numbers, and which wish each number comes from."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import Fault, InvalidInput
from app.plans.links import Links
from app.plans.places import Places
from app.plans.request import PlanRequest, territory_number
from app.plans.units import Kept
from balancing import Centre, Graph, Requirements, connected_components
from geo.geojson import polygon_from_geojson
from geo.projection import local_equal_area

Units = NDArray[np.int32]

# A home draws its territory's centre a third of the way: the ground still decides most.
HOME_PULL = 0.3
FREE = -1


@dataclass(slots=True)
class Sources:
    """JSON pointers to the fields of the request that the solver's numbers come from."""

    number: str
    measures: tuple[str, ...]
    closed: dict[int, str]
    locks: dict[int, str] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)
    centres: list[str] = field(default_factory=list)
    bridges: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, request: PlanRequest) -> "Sources":
        """Return what is known before units are."""
        locked = request.locked_territories
        codes = [] if locked is None else [territory_number(code) for code in locked.codes]
        closed = {n: f"/locked_territories/codes/{i}" for i, n in enumerate(codes)}
        return cls(f"/{request.number_field}", request.weighed, dict(sorted(closed.items())))

    def pointer(self, name: str, index: int | None) -> str:
        """Return the pointer to a parameter of the solver, or to one entry of it."""
        if name in ("tolerances", "weights"):
            return f"/{name}" if index is None else f"/{name}/{self.measures[index]}"
        if name in ("least", "most"):
            end = "min" if name == "least" else "max"
            return "/limits" if index is None else f"/limits/{self.measures[index]}/{end}"
        if name == "locks" and index is not None:
            return self.locks.get(index, "/locks")
        if name == "closed" and index is not None:
            return list(self.closed.values())[index]
        listed = {"groups": self.groups, "centres": self.centres, "bridges": self.bridges}
        if name in listed and index is not None:
            return listed[name][index]
        plain = {
            "n_territories": self.number,
            "groups": "/keep_together",
            "closed": "/locked_territories",
            "max_radius_m": "/max_radius_km",
            "discouraged_edges": "/discouraged",
            "discouragements": "/discouraged",
            "forbidden_edges": "/barriers",
        }
        if name == "shares":
            return self.number if index is None else f"{self.number}/{index}"
        return plain.get(name, f"/{name}")


@dataclass(frozen=True, slots=True)
class Rep:
    """What a design must know of a rep."""

    id: int
    capacity_minutes: float
    home: tuple[float, float] | None


@dataclass(slots=True)
class Wishes:
    """Reads the wishes that name units and territories; contradictions are noted, not raised."""

    request: PlanRequest
    reps: tuple[Rep, ...]
    kept: Kept
    places: Places
    sources: Sources
    n_territories: int
    notes: list[dict[str, Any]] = field(default_factory=list)

    def requirements(self, graph: Graph, links: Links) -> Requirements:
        """Return the requirements; `graph` has the bridges and lacks what barriers cut."""
        limits = [getattr(self.request.limits, name) for name in self.sources.measures]
        self.sources.bridges = [f"/bridges/{number}" for number in links.bridge_numbers]
        radius_km = self.request.max_radius_km
        locks = self._locks(graph)
        return Requirements(
            locks=locks if np.any(locks != FREE) else None,
            closed=self.kept.numbers,
            groups=self._groups(locks),
            centres=self._centres(),
            bridges=links.bridges,
            forbidden_edges=links.forbidden,
            discouraged_edges=links.discouraged,
            discouragements=links.strengths,
            least=tuple(limit.min for limit in limits),
            most=tuple(limit.max for limit in limits),
            max_radius_m=None if radius_km is None else 1000.0 * radius_km,
        )

    def _locks(self, graph: Graph) -> Units:
        """(n_units,) territory each unit must be in, or `FREE`; the first wish for a unit holds."""
        locks = np.full(len(self.places.cells), FREE, dtype=np.int32)
        self._lock_kept(locks, graph)
        for index, lock in enumerate(self.request.locks):
            pointer = f"/locks/{index}"
            number = self._territory(lock.territory, f"{pointer}/territory")
            units, missing = self.places.of_cells(lock.cells)
            for place in missing:
                self._note_outside(f"cell {lock.cells[place]}", f"{pointer}/cells/{place}")
            self._lock(locks, units, number, pointer)
        if self.request.lock_homes:
            for index, rep in enumerate(self.reps):
                self._lock_home(locks, index, rep)
        return locks

    def _lock_kept(self, locks: Units, graph: Graph) -> None:
        units = np.searchsorted(self.places.cells, self.kept.cells)
        locks[units] = self.kept.territories
        for number in self.kept.numbers:
            pointer = self.sources.closed[number]
            if number >= self.n_territories:
                raise _no_such_territory(self.n_territories, pointer)
            own = graph.restricted_to(np.flatnonzero(locks == number).astype(np.int32))
            if connected_components(own).max() > 0:
                detail = "it is in several pieces here; name its bridge, or move the barrier"
                fault = Fault("locked-territory-cut", detail, pointer)
                raise InvalidInput("A locked territory is not in one piece.", [fault])

    def _lock_home(self, locks: Units, index: int, rep: Rep) -> None:
        assert rep.home is not None
        unit = self.places.of_point(*rep.home)
        if unit is None:
            self._note_outside(f"the home of rep {rep.id}", f"/rep_ids/{index}")
        else:
            self._lock(locks, np.array([unit], dtype=np.int32), index, f"/rep_ids/{index}")

    def _lock(self, locks: Units, units: Units, number: int, pointer: str) -> None:
        is_closed = number in self.kept.numbers
        taken = units[(locks[units] != number) & ((locks[units] != FREE) | is_closed)]
        if taken.size:
            other = number if is_closed else int(locks[taken[0]])
            why = "that is locked as it is" if is_closed else "to which they are locked already"
            self.notes.append(
                {
                    "code": "locks_conflict",
                    "message": f"{taken.size} cells of {pointer} are left out because of territory "
                    f"{other}, {why}; unit {taken[0]} is among them",
                    "facts": {"territory": other, "unit": int(taken[0]), "n_units": taken.size},
                    "relaxation": {"field": pointer, "action": "leave out"},
                }
            )
        free = np.setdiff1d(units, taken)
        locks[free] = number
        for unit in free.tolist():
            self.sources.locks.setdefault(unit, pointer)

    def _groups(self, locks: Units) -> tuple[Units, ...]:
        groups = []
        in_areas = self._in_areas()
        for index, group in enumerate(self.request.keep_together):
            pointer = f"/keep_together/{index}"
            if group.cells is not None:
                units, missing = self.places.of_cells(group.cells)
                for place in missing:
                    self._note_outside(f"cell {group.cells[place]}", f"{pointer}/cells/{place}")
            else:
                units = in_areas[index]
                if not units.size:
                    self._note_outside(f"the area of {pointer}", f"{pointer}/area")
            closed = np.intersect1d(locks[units], self.kept.numbers)
            if closed.size and np.any(locks[units] != closed[0]):
                self.notes.append(
                    {
                        "code": "group_conflict",
                        "message": f"part of {pointer} lies in territory {closed[0]}, which is "
                        "locked as it is",
                        "facts": {"territory": int(closed[0])},
                        "relaxation": {"field": pointer, "action": "leave out"},
                    }
                )
            elif units.size > 1:
                groups.append(units)
                self.sources.groups.append(pointer)
        return tuple(groups)

    def _in_areas(self) -> dict[int, Units]:
        """Units of every group that is given as an area, by the number of the group."""
        groups = enumerate(self.request.keep_together)
        areas = {i: polygon_from_geojson(g.area) for i, g in groups if g.area is not None}
        return dict(zip(areas, self.places.in_areas(list(areas.values())), strict=True))

    def _centres(self) -> tuple[Centre, ...]:
        """Named centres, and homes of reps whose territory has none."""
        wanted = {}
        for index, wish in enumerate(self.request.centres):
            pointer = f"/centres/{index}"
            number = self._territory(wish.territory, f"{pointer}/territory")
            wanted[number] = (wish.lon, wish.lat, wish.pull, pointer)
        if self.request.homes != "ignore":
            pull = HOME_PULL if self.request.homes == "preferred" else 1.0
            for number, rep in enumerate(self.reps):
                assert rep.home is not None
                wanted.setdefault(number, (*rep.home, pull, f"/rep_ids/{number}"))
        self.sources.centres = [pointer for *_, pointer in wanted.values()]
        if not wanted:
            return ()
        lon, lat, pulls, _ = zip(*wanted.values(), strict=True)
        x_m, y_m = local_equal_area(lon, lat, self.places.middle)
        return tuple(
            Centre(number, float(x), float(y), pull)
            for number, x, y, pull in zip(wanted, x_m, y_m, pulls, strict=True)
        )

    def _territory(self, code: str, pointer: str) -> int:
        number = territory_number(code)
        if not 0 <= number < self.n_territories:
            raise _no_such_territory(self.n_territories, pointer)
        return number

    def _note_outside(self, what: str, pointer: str) -> None:
        self.notes.append(
            {
                "code": "cells_outside",
                "message": f"{what} is outside of the plan, or in a piece that is left out",
                "facts": {"pointer": pointer},
                "relaxation": {"field": pointer, "action": "leave out"},
            }
        )


def _no_such_territory(n_territories: int, pointer: str) -> InvalidInput:
    fault = Fault("missing-territory", f"there are {n_territories} territories", pointer)
    return InvalidInput("The request names a territory that is not there.", [fault])
