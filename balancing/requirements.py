"""What is wanted of particular units, edges and territories."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from balancing.arrays import FloatArray, IntArray
from balancing.errors import ParameterError
from balancing.instance import Instance


def _no_pairs() -> IntArray:
    return np.empty((0, 2), np.int32)


@dataclass(frozen=True)
class Centre:
    """Where a territory's centre is, or is drawn to: a rep's home.

    Parameters
    ----------
    territory
        Number of the territory.
    x_m, y_m
        Place in the instance's projection, metres.
    pull
        In (0, 1]. With 1 the centre is this place; below it compactness is measured as
        (1 - pull) times that about the territory's own centre plus pull times that about
        this place.
    """

    territory: int
    x_m: float
    y_m: float
    pull: float = 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Requirements:
    """Wishes that name units, edges or territories by their numbers; all are optional.

    Parameters
    ----------
    locks
        (n_units,) territory each unit must be in, -1 where it may be in any.
    closed
        Territories that consist of exactly the units locked to them. They are taken as they
        are: their target is what they carry, and the others share the rest.
    groups
        Sets of units that must be together in one territory. Units of a group, or locked to
        one territory, that do not touch are joined by the shortest way between them.
    centres
        Fixed or preferred centres, at most one per territory.
    bridges
        (n_bridges, 2) pairs of units that count as touching (ferries, tunnels).
    forbidden_edges
        (n_edges, 2) pairs of units that do not count as touching (barriers).
    discouraged_edges
        (n_edges, 2) pairs of touching units that should not be in one territory: rivers,
        administrative borders.
    discouragements
        (n_edges,) how strongly, at least 0: what it costs to keep such a pair together, in
        prices of a cut edge.
    least, most
        Per measure the activity every territory must at least, may at most have; None for no
        limit; empty for none at all. Limits are hard: they count before the tolerances.
    max_radius_m
        Units with activity may lie at most so far from their territory's centre.

    Raises
    ------
    ParameterError
        With `field` and, where there is one, `index`.
    """

    locks: IntArray | None = None
    closed: tuple[int, ...] = ()
    groups: tuple[IntArray, ...] = ()
    centres: tuple[Centre, ...] = ()
    bridges: IntArray = field(default_factory=_no_pairs)
    forbidden_edges: IntArray = field(default_factory=_no_pairs)
    discouraged_edges: IntArray = field(default_factory=_no_pairs)
    discouragements: FloatArray | None = None
    least: tuple[float | None, ...] = ()
    most: tuple[float | None, ...] = ()
    max_radius_m: float | None = None

    def __post_init__(self) -> None:
        for name in ("bridges", "forbidden_edges", "discouraged_edges"):
            object.__setattr__(self, name, _as_pairs(getattr(self, name), name))
        if self.locks is not None:
            object.__setattr__(self, "locks", _as_whole(self.locks, "locks"))
        groups = tuple(
            np.unique(_as_whole(group, "groups", number))
            for number, group in enumerate(self.groups)
        )
        object.__setattr__(self, "groups", groups)
        self._check_discouragements()
        self._check_centres()
        self._check_limits()

    @property
    def names_territories(self) -> bool:
        """Whether anything here speaks of a territory by its number."""
        return bool(self.centres or self.closed) or self.locks is not None

    def check_fit(self, instance: Instance, n_territories: int) -> None:
        """Refuse what names units, measures or territories that are not there.

        Raises
        ------
        ParameterError
            With `field` and `index`.
        """
        if self.locks is not None and len(self.locks) != instance.n_units:
            raise ParameterError(
                f"{len(self.locks)} locks for {instance.n_units} units", field="locks"
            )
        for name in ("bridges", "forbidden_edges", "discouraged_edges"):
            _refuse_beyond(getattr(self, name), instance.n_units, name, "unit")
        for number, group in enumerate(self.groups):
            _refuse_beyond(group, instance.n_units, "groups", "unit", number)
        _refuse_beyond(self.locks, n_territories, "locks", "territory", lowest=-1)
        _refuse_beyond(np.array(self.closed, int), n_territories, "closed", "territory")
        homes = np.array([centre.territory for centre in self.centres], int)
        _refuse_beyond(homes, n_territories, "centres", "territory")
        for name in ("least", "most"):
            n_limits = len(getattr(self, name))
            if n_limits not in (0, instance.n_measures):
                raise ParameterError(
                    f"{n_limits} limits for {instance.n_measures} measures", field=name
                )
        for number, territory in enumerate(self.closed):
            if self.locks is None or not np.any(self.locks == territory):
                raise ParameterError(
                    f"closed[{number}]: nothing is locked to territory {territory}",
                    field="closed",
                    index=number,
                )

    def _check_discouragements(self) -> None:
        n_edges = len(self.discouraged_edges)
        strengths = np.ones(n_edges) if self.discouragements is None else self.discouragements
        strengths = np.asarray(strengths, dtype=np.float64)
        if strengths.shape != (n_edges,):
            raise ParameterError(
                f"{strengths.size} strengths for {n_edges} discouraged edges",
                field="discouragements",
            )
        faults = np.flatnonzero(~(np.isfinite(strengths) & (strengths >= 0)))
        if faults.size:
            index = int(faults[0])
            raise ParameterError(
                f"discouragements[{index}] is {strengths[index]}; a number from 0 is needed",
                field="discouragements",
                index=index,
            )
        object.__setattr__(self, "discouragements", strengths)

    def _check_centres(self) -> None:
        seen: set[int] = set()
        for index, centre in enumerate(self.centres):
            is_place = math.isfinite(centre.x_m) and math.isfinite(centre.y_m)
            if not is_place or not 0 < centre.pull <= 1:
                raise ParameterError(
                    f"centres[{index}] needs finite coordinates and a pull in (0, 1]",
                    field="centres",
                    index=index,
                )
            if centre.territory in seen:
                raise ParameterError(
                    f"centres[{index}]: territory {centre.territory} has a centre already",
                    field="centres",
                    index=index,
                )
            seen.add(centre.territory)

    def _check_limits(self) -> None:
        for name in ("least", "most"):
            for index, limit in enumerate(getattr(self, name)):
                if limit is not None and not 0 <= limit < math.inf:
                    raise ParameterError(
                        f"{name}[{index}] is {limit}; a number from 0 is needed",
                        field=name,
                        index=index,
                    )
        for index, (low, high) in enumerate(zip(self.least, self.most, strict=False)):
            if low is not None and high is not None and low > high:
                raise ParameterError(
                    f"least[{index}] is {low}, more than most[{index}], {high}",
                    field="least",
                    index=index,
                )
        if self.max_radius_m is not None and not 0 < self.max_radius_m < math.inf:
            raise ParameterError(
                f"max_radius_m is {self.max_radius_m}; a positive number is needed",
                field="max_radius_m",
            )


def _as_pairs(values: ArrayLike, field: str) -> IntArray:
    """Return (n, 2) int32."""
    if np.size(values) == 0:
        return _no_pairs()
    pairs = np.asarray(values)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise ParameterError(f"{field} must be pairs of units", field=field)
    loops = np.flatnonzero(pairs[:, 0] == pairs[:, 1])
    if loops.size:
        index = int(loops[0])
        raise ParameterError(f"{field}[{index}] joins a unit with itself", field=field, index=index)
    return pairs.astype(np.int32)


def _as_whole(values: ArrayLike, field: str, index: int | None = None) -> IntArray:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        facts = {} if index is None else {"index": index}
        raise ParameterError(f"{field} must be whole numbers", field=field, **facts)
    return array.astype(np.int32)


def _refuse_beyond(
    numbers: IntArray | None,
    limit: int,
    field: str,
    what: str,
    index: int | None = None,
    lowest: int = 0,
) -> None:
    if numbers is None:
        return
    faults = np.argwhere((numbers < lowest) | (numbers >= limit))
    if faults.size:
        place = int(faults[0][0])
        number = int(numbers.reshape(len(numbers), -1)[place].max())
        raise ParameterError(
            f"{field}[{place if index is None else index}] names {what} {number}; "
            f"there are {limit}",
            field=field,
            index=place if index is None else index,
        )
