"""What is drawn anew of a draft after an edit: the territories that changed, and their borders."""

from dataclasses import dataclass

import numpy as np
import shapely

from app.plans.drawing import OVERVIEW_TOLERANCE_DEG
from app.plans.edit_ground import Ground
from app.plans.edit_state import EditState
from geo.outlines import simplified_outlines, territory_outlines


@dataclass(frozen=True)
class Redrawn:
    """Of one territory: its outlines as WKB, and what else is drawn.

    `is_changed` says whether the territory itself changed, or only the simplified borders around.
    """

    outline: bytes
    overview: bytes
    label_point: tuple[float, float]
    bbox: list[float]
    colour: int
    is_changed: bool


def redraw(
    state: EditState, ground: Ground, changed: set[str], colours: dict[str, int]
) -> dict[str, Redrawn]:
    """Return what is drawn anew, by code; `colours` are those of the territories so far.

    All outlines are drawn, for that is how they fit without gaps; those of the changed territories
    and of their neighbours are returned, since simplified borders move with their ends.
    """
    if not changed:
        return {}
    k = len(state.members)
    outlines = territory_outlines(state.cells, state.ordinals, k)
    overviews = simplified_outlines(outlines, OVERVIEW_TOLERANCE_DEG)
    touching = _touching(state, ground)
    numbers = [place for place, code in enumerate(state.codes) if code in changed]
    around = {other for place in numbers for other in touching[place]}
    kept = _colours(state, touching, numbers, colours)
    found = {}
    for place in sorted({*numbers, *around}):
        label = shapely.point_on_surface(outlines[place])
        found[state.codes[place]] = Redrawn(
            outline=shapely.to_wkb(outlines[place]),
            overview=shapely.to_wkb(overviews[place]),
            label_point=(label.x, label.y),
            bbox=list(outlines[place].bounds),
            colour=kept[place],
            is_changed=place in numbers,
        )
    return found


def _touching(state: EditState, ground: Ground) -> list[set[int]]:
    """Return the territories that each one borders on."""
    adjacency = ground.adjacency
    one = state.ordinals[adjacency.sources()]
    other = state.ordinals[adjacency.indices]
    pairs = np.unique(np.stack([one, other])[:, one != other], axis=1)
    found: list[set[int]] = [set() for _ in state.members]
    for place, neighbour in pairs.T.tolist():
        found[place].add(neighbour)
    return found


def _colours(
    state: EditState, touching: list[set[int]], numbers: list[int], colours: dict[str, int]
) -> list[int]:
    """Keep colours; a changed territory that has none, or that of a neighbour, gets another."""
    kept = [colours.get(code, -1) for code in state.codes]
    for place in numbers:
        taken = {kept[other] for other in touching[place]}
        if kept[place] < 0 or kept[place] in taken:
            kept[place] = next(c for c in range(len(kept) + 1) if c not in taken)
    return kept
