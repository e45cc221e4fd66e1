"""Where the search of a what-if begins: with ground for the territories that are added."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import Fault, InvalidInput
from app.plans.rebalance_search import RebalanceSearch
from balancing import Instance, Parameters, Requirements, connected_components, design
from geo.cells import points_from_cells
from geo.distance import great_circle_m

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ordinals = NDArray[np.int32]

NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Donor:
    """What a territory that is added begins with ground of.

    `ordinal` is that of a territory before the changes; `is_whole` where that one disappears and
    all of its ground goes over.
    """

    ordinal: int
    is_whole: bool


class Beginning:
    """Ground as the search finds it, given to one territory after the other.

    Attributes
    ----------
    start : (n_units,) int32
        The territory each unit begins in, -1 for ground that is shared out.
    donors
        Of the territories added so far.
    places
        Units at the places they are wanted at, or nearest to them, with the territory of each.
    """

    def __init__(self, search: RebalanceSearch, origins: Ordinals, successors: Ordinals) -> None:
        """`origins` (n_units,) and `successors` (k before,) name territories as `Inputs` does."""
        self._task, self._origins = search.task, origins
        self.start = search.past.copy()
        self.donors: list[Donor] = []
        self.places: dict[int, int] = {}
        self._n_after = search.task.n_territories
        self._held = _held(search)
        graph, links = search.task.instance.graph, search.task.links
        self._graph = graph.edited(links.bridges, links.forbidden)
        # Before which territory it was; of one that is added, that it was made of.
        self._origin_of = {int(new): old for old, new in enumerate(successors.tolist()) if new >= 0}
        self._lon, self._lat = points_from_cells(search.task.cells)

    def add(self, addition: dict[str, Any], seed: int) -> None:
        """Give a territory ground: that of one that disappears, or a part of another.

        Raises
        ------
        InvalidInput
            When no territory has ground to give.
        """
        labels = self._labels()
        able = self._able(labels)
        if not able:
            detail = "no territory has two cells with work of which one may move"
            raise InvalidInput(
                "There is no room for another territory.",
                [Fault("no-room", detail, addition["pointer"])],
            )
        place, ordinal = addition["place"], addition["ordinal"]
        near = None if place is None else self._nearest(np.isin(labels, able), *place)
        label = self._heaviest(labels, able) if near is None else int(labels[near])
        vacant = self._vacant_beside(labels, label) if addition["replaces"] else []
        if near is not None and vacant:
            # Who joins next door to who left takes over: one more change for nobody.
            label = int(labels[self._nearest(np.isin(labels, vacant), *place)])
            near = None
        units = np.flatnonzero(labels == label).astype(np.int32)
        if label >= self._n_after:
            origin = label - self._n_after
            self.start[units] = ordinal
        else:
            origin = self._origin_of[label]
            self.start[self._part(units, label, ordinal, near, seed)] = ordinal
        if near is not None:
            # Else the search could carry it off: what moves little is cheap to give back.
            self.places[near], self._held[near] = ordinal, True
        self._origin_of[ordinal] = origin
        self.donors.append(Donor(origin, label >= self._n_after))

    def refuse_cut_off(self, removals: Sequence[dict[str, Any]], codes: Sequence[str]) -> None:
        """Refuse to remove territories whose ground no other can take in.

        Raises
        ------
        InvalidInput
            The faults point to the changes.
        """
        pieces = connected_components(self._graph)
        has_any = np.zeros(int(pieces.max()) + 1, dtype=np.bool_)
        has_any[pieces[self.start >= 0]] = True
        is_left = ~has_any[pieces]
        faults = [
            Fault("cut-off", f"no other territory touches {code}", removal["pointer"])
            for removal in removals
            for code in [codes[removal["ordinal"]]]
            if np.any(is_left & (self._origins == removal["ordinal"]))
        ]
        if faults:
            raise InvalidInput("What is left of a territory cannot be shared out.", faults)

    def _labels(self) -> Ordinals:
        """(n_units,) the territory of each, of one that disappears its old ordinal beyond all."""
        left = np.where(self._origins >= 0, self._n_after + self._origins, NOWHERE)
        return np.where(self.start >= 0, self.start, left).astype(np.int32)

    def _able(self, labels: Ordinals) -> list[int]:
        """Those that can give: with work, and beside what is held there another unit."""
        known = labels >= 0
        size = int(labels.max()) + 1
        n_units = np.bincount(labels[known], minlength=size)
        n_free = np.bincount(labels[known & ~self._held], minlength=size)
        work = np.bincount(labels[known], self._task.activity[known, 0], size)
        is_gone = np.arange(size) >= self._n_after
        can = (work > 0) & np.where(is_gone, n_units > 0, (n_units > 1) & (n_free > 0))
        closed = list(self._task.parameters.requirements.closed)
        can[closed] = False
        return [int(label) for label in np.flatnonzero(can)]

    def _vacant_beside(self, labels: Ordinals, label: int) -> list[int]:
        """Those that disappear and touch a territory, if that one itself does not."""
        if label >= self._n_after:
            return []
        tails = np.repeat(labels, np.diff(self._graph.indptr))
        heads = labels[self._graph.indices]
        return [int(n) for n in np.unique(heads[(tails == label) & (heads >= self._n_after)])]

    def _nearest(self, is_possible: Flags, lon: float, lat: float) -> int:
        away_m = great_circle_m(self._lon, self._lat, lon, lat)
        # Rather than a cell that stays, one nearby that need not.
        away_m = np.where(is_possible & ~self._held, away_m, np.inf)
        return int(np.argmin(away_m))

    def _heaviest(self, labels: Ordinals, able: list[int]) -> int:
        """One that disappears, else the one that has most for its target."""
        known = labels >= 0
        work = np.bincount(labels[known], self._task.activity[known, 0], max(able) + 1)
        wanted = np.append(self._shares(), np.zeros(max(max(able) + 1 - self._n_after, 0)))
        ranks = [
            (label >= self._n_after, work[label] / max(wanted[label], 1e-300)) for label in able
        ]
        return able[max(range(len(able)), key=lambda n: (ranks[n], -able[n]))]

    def _shares(self) -> Floats:
        return np.array(self._task.parameters.shares or [1.0] * self._n_after)

    def _part(
        self, units: Ordinals, donor: int, ordinal: int, near: int | None, seed: int
    ) -> Ordinals:
        """Return the part of a territory that goes to another, as a design of two finds it."""
        task = self._task
        parameters, instance = task.parameters, task.instance
        locks = np.full(len(units), NOWHERE, dtype=np.int32)
        locks[self._held[units]] = 0
        if near is not None:
            locks[np.searchsorted(units, near)] = 1
        shares = self._shares()[[donor, ordinal]]
        result = design(
            Instance(
                self._graph.restricted_to(units), instance.x_m[units], instance.y_m[units],
                instance.activity[units], instance.measure_names,
            ),
            Parameters(
                n_territories=2,
                tolerances=parameters.tolerances,
                weights=parameters.weights,
                shares=tuple((shares / shares.sum()).tolist()),
                objective=parameters.objective,
                requirements=Requirements(locks=locks if np.any(locks >= 0) else None),
            ),
            seed,
        )  # fmt: skip
        given: Ordinals = units[result.alignment == 1]
        return given


def _held(search: RebalanceSearch) -> Flags:
    """Which units (n,) may not change hands: protected ones, and those locked where they are."""
    held = search.choice.protected & (search.past >= 0)
    locks = search.task.parameters.requirements.locks
    if locks is not None:
        held |= (locks >= 0) & (locks == search.past)
    return held
