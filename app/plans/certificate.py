"""A plan's certificate as a document that stands by itself: docs/certificate.md is its format."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from app.plans.digest import CERTIFICATE_FILE
from app.plans.places import Places
from app.plans.task import Task
from balancing import Result
from balancing.certificate import Certificate, certify
from geo.cells import cells_to_text
from geo.certificate_checker import FORMAT, PROJECTION, VERSION
from geo.sphere import EARTH_RADIUS_M

Units = NDArray[np.int32]

# Above 6 a document of 300,000 cells takes twice the time for 3 % fewer bytes.
COMPRESSION = 6


def write_certificate(
    folder: Path,
    task: Task,
    result: Result,
    codes: tuple[str, ...],
    order: Units,
    violations: list[dict[str, Any]],
    digest: str,
) -> None:
    """Write the certificate, compressed.

    Parameters
    ----------
    codes
        Code of each of the solver's territories.
    order
        Place of each of the solver's territories among those of the plan.
    violations
        As the plan reports them.
    digest
        Of the input, as the plan's manifest has it.
    """
    certificate = certify(task.instance, task.parameters, result)
    document = _document(task, certificate, codes, order, violations, digest)
    data = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    # Without the time of day, so that one plan has one certificate to the byte.
    (folder / CERTIFICATE_FILE).write_bytes(gzip.compress(data, COMPRESSION, mtime=0))


def _document(
    task: Task,
    certificate: Certificate,
    codes: tuple[str, ...],
    order: Units,
    violations: list[dict[str, Any]],
    digest: str,
) -> dict[str, Any]:
    """Cells stand tree by tree, and are named elsewhere by their place in that order."""
    by_tree = np.argsort(order[certificate.alignment[certificate.order]], kind="stable")
    units = certificate.order[by_tree]
    place = np.empty(len(units), dtype=np.int32)
    place[units] = np.arange(len(units), dtype=np.int32)
    parent = certificate.parent[units]
    lon, lat = Places(task.cells).middle
    instance = task.instance
    return {
        "format": FORMAT,
        "version": VERSION,
        "input_sha256": digest,
        "measures": list(instance.measure_names),
        # A measure that has only limits may be off its target by anything.
        "tolerances": [getattr(task.request.tolerances, name) for name in instance.measure_names],
        "limits": _limits(task),
        "totals": certificate.totals,
        "objective": {
            "name": certificate.objective,
            "weight": instance.measure_names[0],
            "value": certificate.objective_value,
            "bound": None if certificate.bound is None else certificate.bound.value,
            "gap": certificate.gap,
            "n_starts": certificate.n_starts,
            "start_spread": certificate.start_spread,
        },
        "cut_edges": certificate.cut_edges,
        "projection": {"name": PROJECTION, "lon": lon, "lat": lat, "radius_m": EARTH_RADIUS_M},
        "territories": _territories(certificate, codes, order, place),
        "bridges": [
            {"name": task.request.bridges[number].name, "cells": sorted(place[pair].tolist())}
            for number, pair in zip(task.links.bridge_numbers, task.links.bridges, strict=True)
        ],
        "forbidden": np.sort(place[task.links.forbidden], axis=1),
        "violations": violations,
        "proven": list(certificate.proven),
        "not_proven": list(certificate.not_proven),
        "cells": cells_to_text(task.cells[units]),
        "territory": order[certificate.alignment[units]],
        "parent": np.where(parent < 0, -1, place[parent]),
        "activity": {
            name: np.ascontiguousarray(instance.activity[units, measure])
            for measure, name in enumerate(instance.measure_names)
        },
    }


def _limits(task: Task) -> list[dict[str, float | None]]:
    wishes = task.parameters.requirements
    n_measures = task.instance.n_measures
    ends = zip(
        wishes.least or (None,) * n_measures, wishes.most or (None,) * n_measures, strict=True
    )
    return [{"min": least, "max": most} for least, most in ends]


def _territories(
    certificate: Certificate, codes: tuple[str, ...], order: Units, place: Units
) -> list[dict[str, Any]]:
    """What is said of each territory, in the order of the plan's territories."""
    sizes = np.bincount(certificate.alignment)
    bound = certificate.bound
    return [
        {
            "code": codes[own],
            "n_cells": int(sizes[own]),
            "sums": certificate.sums[own],
            "targets": certificate.targets[own],
            "imbalance": certificate.imbalance[own],
            "centre": [certificate.centre_x_m[own], certificate.centre_y_m[own]],
            "centre_cell": _centre_cell(certificate, place, own),
            "given": _given(certificate, own),
            "price": 0.0 if bound is None else bound.prices[own],
        }
        for own in np.argsort(order).tolist()
    ]


def _centre_cell(certificate: Certificate, place: Units, own: int) -> int | None:
    unit = int(certificate.centre_unit[own])
    return None if unit < 0 else int(place[unit])


def _given(certificate: Certificate, own: int) -> dict[str, float] | None:
    if certificate.pull[own] == 0:
        return None
    return {
        "x_m": float(certificate.place_x_m[own]),
        "y_m": float(certificate.place_y_m[own]),
        "pull": float(certificate.pull[own]),
    }
