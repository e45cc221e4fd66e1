"""Maps of the places where a map has no room for its codes."""

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from app.reports.content import MapPicture
from app.reports.flow import BODY_IN
from app.reports.maps import draw_map
from app.reports.pictures import height_in
from geo.projection import local_equal_area

# Codes belong to one place when they are nearer than this part of the whole map.
NEAR = 0.06
MOST_DETAILS = 2


def details_of(picture: MapPicture) -> tuple[MapPicture, ...]:
    """Return maps of the places where most codes have no room, the one with the most first."""
    figure = Figure(figsize=(BODY_IN, height_in(picture, BODY_IN, 1)))
    missing = set(draw_map(figure.add_axes((0, 0, 1, 1)), picture))
    if not missing:
        return ()
    points = np.array([area.label_point for area in picture.areas])
    plain = np.stack(local_equal_area(points[:, 0], points[:, 1]), axis=1)
    codes = [area.code for area in picture.areas]
    places = [place for place, code in enumerate(codes) if code in missing]
    near = cdist(plain[places], plain[places]) < NEAR * np.ptp(plain, axis=0).max()
    n_groups, group = connected_components(near, directed=False)
    largest = np.argsort(-np.bincount(group, minlength=n_groups), kind="stable")
    return tuple(
        replace(
            picture,
            title=f"Territories in detail, {number}",
            alt=f"Detail of the map: {', '.join(focus)} and what is around them.",
            focus=focus,
        )
        for number, wanted in enumerate(largest[:MOST_DETAILS].tolist(), start=1)
        if (focus := tuple(codes[places[n]] for n in np.flatnonzero(group == wanted)))
    )
