"""A stored plan against its input and against the plan that is made from it again."""

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from pydantic import ValidationError

from app import __version__
from app.db.alignment import unpack
from app.plans.demand import Demand
from app.plans.digest import CERTIFICATE_FILE
from app.plans.request import PlanRequest
from app.plans.snapshot import Given
from app.plans.store import scores_of_plan, scores_of_territory
from app.plans.verify_schemas import Check

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Stored:
    """A plan as it is in the database; `certificate` compressed, None where there is none."""

    id: int
    origin: str
    parent_id: int | None
    version: int
    parameters: dict[str, Any]
    manifest: dict[str, Any]
    alignment: bytes
    document: dict[str, Any]
    certificate_sha256: str | None
    certificate: bytes | None


def check_versions(manifest: dict[str, Any]) -> Check:
    """Say which programs are others than then; that alone makes no other plan."""
    then = {"bailiwick": manifest.get("bailiwick"), **manifest.get("libraries", {})}
    others = [
        f"{name} {was} then, {now} here"
        for name, was in then.items()
        if (now := _here(name)) != was
    ]
    return Check(name="versions", ok=True, detail="; ".join(others) or "the same as then")


def check_input(manifest: dict[str, Any], demand: Demand) -> Check:
    """Tell whether the customers that were kept are those of the manifest."""
    wanted = manifest.get("input", {}).get("sha256")
    if demand.digest != wanted:
        detail = f"what was kept has SHA-256 {demand.digest}, the manifest says {wanted}"
        return Check(name="input", ok=False, detail=detail)
    return Check(name="input", ok=True, detail=f"{len(demand.cells12)} cells, SHA-256 {wanted}")


def check_given(manifest: dict[str, Any], given: Given) -> Check:
    """Tell whether the reps that were kept are those of the manifest."""
    is_same = given.resolved.get("reps") == manifest.get("reps")
    detail = "reps as in the manifest" if is_same else "the reps kept are not those of the manifest"
    return Check(name="given", ok=is_same, detail=detail)


def check_parameters(stored: Stored) -> Check:
    """Tell whether plan and manifest name the same request, and one that is understood."""
    told, kept = stored.manifest.get("parameters"), stored.parameters
    if told != kept or stored.manifest.get("seed") != kept.get("seed"):
        names = sorted(_differing(told or {}, kept)) or ["seed"]
        detail = f"plan and manifest differ in {', '.join(names[:SHOWN])}"
        return Check(name="parameters", ok=False, detail=detail)
    try:
        PlanRequest.model_validate(kept)
    except ValidationError as error:
        field = "/".join(map(str, error.errors()[0]["loc"]))
        return Check(name="parameters", ok=False, detail=f"not understood: {field}")
    return Check(name="parameters", ok=True, detail=f"as in the manifest, seed {kept['seed']}")


def check_again(stored: Stored, folder: Path) -> Iterator[Check]:
    """Compare a plan with the one that a child has left in its folder."""
    cells, ordinals = np.load(folder / "cells.npy"), np.load(folder / "alignment.npy")
    yield from _check_alignment(stored, cells, ordinals)
    document = orjson.loads((folder / "plan.json").read_bytes())
    again = {
        "scores": scores_of_plan(document),
        "violations": document["violations"],
        "components": document["components"],
        "territories": {row["code"]: scores_of_territory(row) for row in document["territories"]},
    }
    yield _check_scores(stored.document, again)
    yield _check_certificate(stored, (folder / CERTIFICATE_FILE).read_bytes())


def _check_alignment(stored: Stored, cells: Any, ordinals: Any) -> Iterator[Check]:
    try:
        known_cells, known_ordinals = unpack(stored.alignment)
    except (ValueError, zlib.error, IndexError):
        detail = "the bytes of the plan cannot be unpacked"
        yield Check(name="cells", ok=False, detail=detail)
        yield Check(name="alignment", ok=False, detail=detail)
        return
    is_same = np.array_equal(known_cells, cells)
    said = f"{len(cells)} cells" if is_same else _cells_in_words(known_cells, cells)
    yield Check(name="cells", ok=is_same, detail=said)
    if known_ordinals.tobytes() == ordinals.astype(np.int32).tobytes():
        detail = f"SHA-256 {hashlib.sha256(known_ordinals.tobytes()).hexdigest()}"
        yield Check(name="alignment", ok=True, detail=detail)
        return
    detail = "of other cells"
    if is_same:
        n_other = int((known_ordinals != ordinals).sum())
        detail = f"{n_other} of {len(cells)} cells are in another territory than in the design"
    if stored.version > 1:
        detail += f"; the plan was changed since it was made (version {stored.version})"
    yield Check(name="alignment", ok=False, detail=detail)


def _cells_in_words(known: Any, again: Any) -> str:
    n_missing, n_more = len(np.setdiff1d(again, known)), len(np.setdiff1d(known, again))
    return f"{n_missing} cells of the design are not in the plan, {n_more} are there beside"


def _check_scores(known: dict[str, Any], again: dict[str, Any]) -> Check:
    found = list(_differing(known, again))
    if not found:
        return Check(name="scores", ok=True, detail="equal, of the plan and of each territory")
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return Check(name="scores", ok=False, detail=f"differ in {', '.join(found[:SHOWN])}{more}")


def _check_certificate(stored: Stored, compressed: bytes) -> Check:
    again = hashlib.sha256(gzip.decompress(compressed)).hexdigest()
    detail = f"SHA-256 {again}"
    if stored.certificate is None:
        return Check(name="certificate", ok=False, detail="the plan has none")
    try:
        kept = hashlib.sha256(gzip.decompress(stored.certificate)).hexdigest()
    except (OSError, EOFError, zlib.error):
        kept = "of what cannot be unpacked"
    for name, digest in (("named", stored.certificate_sha256), ("kept", kept)):
        if digest != again:
            detail = f"the one made again has SHA-256 {again}, the one {name} {digest}"
            return Check(name="certificate", ok=False, detail=detail)
    return Check(name="certificate", ok=True, detail=detail)


def _differing(one: Any, other: Any, place: str = "") -> Iterator[str]:
    """Yield the places at which two JSON values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted({*one, *other}):
            missing = object()
            yield from _differing(
                one.get(name, missing), other.get(name, missing), f"{place}/{name}"
            )
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs: Iterable[tuple[Any, Any]] = zip(one, other, strict=True)
        for number, (left, right) in enumerate(pairs):
            yield from _differing(left, right, f"{place}/{number}")
    elif one != other:
        yield place


def _here(name: str) -> str | None:
    if name == "bailiwick":
        return __version__
    try:
        return version(name)
    except PackageNotFoundError:
        return None
