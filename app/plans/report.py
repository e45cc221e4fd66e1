"""The heavy part of a report, run in a child process: facts of a plan in, three files out.

Reads from its folder what `app.plans.report_facts` wrote, and `work.json` with the settings of the
workload model; writes `report.html`, `report.pdf` and `report.png`.
"""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import shapely

from app.jobs.child_main import report as tell
from app.plans.report_fairness import fairness_section
from app.plans.report_folder import (
    CERTIFICATE_FILE,
    DEMAND_FILE,
    FACTS_FILE,
    IN_FORCE,
    OUTLINES_FILE,
    PLAN,
    WORK_FILE,
)
from app.plans.report_moves import moves_section
from app.plans.report_words import balance_section, certificate_section, facts_of, map_sections
from app.plans.travel import stem_minutes
from app.reports import Area, Report, render_html, render_pdf, render_png
from app.settings import WorkSettings
from geo.cells import points_from_cells
from geo.membership import units_of


def main(folder: Path) -> None:
    """Write the report of a plan in all its forms."""
    tell("reading the plan", 0.0)
    document = make_report(folder)
    tell("drawing", 0.2)
    (folder / "report.html").write_text(render_html(document), encoding="utf-8")
    tell("drawing", 0.45)
    (folder / "report.pdf").write_bytes(render_pdf(document))
    tell("drawing", 0.75)
    (folder / "report.png").write_bytes(render_png(document))


def make_report(folder: Path) -> Report:
    """Return what the report of a plan says."""
    facts = orjson.loads((folder / FACTS_FILE).read_bytes())
    plan = facts["plan"]
    areas = read_areas(folder / OUTLINES_FILE.format(PLAN))
    before = folder / OUTLINES_FILE.format(IN_FORCE)
    certificate = folder / CERTIFICATE_FILE
    proof = None
    if certificate.exists():
        proof = orjson.loads(gzip.decompress(certificate.read_bytes()))
    sections = (
        *map_sections(plan, areas),
        balance_section(facts),
        certificate_section(plan, proof),
        moves_section(facts, areas, read_areas(before) if before.exists() else ()),
        fairness_section(facts, _travel(folder, facts)),
    )
    return Report(
        title=plan["name"],
        subtitle=f"Report of plan {plan['id']}, layer {facts['layer']['title']}",
        facts=facts_of(facts),
        sections=sections,
    )


def read_areas(path: Path) -> tuple[Area, ...]:
    """Return the territories of a file that `app.plans.report_facts` wrote."""
    with np.load(path) as file:
        data, ends = file["outlines"].tobytes(), file["ends"].tolist()
        drawn = zip(
            file["codes"].tolist(), file["colours"].tolist(), file["label_points"].tolist(),
            [0, *ends[:-1]], ends, strict=True,
        )  # fmt: skip
        return tuple(
            Area(code, colour, shapely.from_wkb(data[start:end]), (point[0], point[1]))
            for code, colour, point, start, end in drawn
        )


def _travel(folder: Path, facts: dict[str, Any]) -> list[float | None]:
    """Return the stem of each territory, minutes a year; None without a home or the input."""
    reps = facts["reps"]
    if not facts["has_demand"] or all(rep is None or rep["home"] is None for rep in reps):
        return [None] * len(reps)
    settings = WorkSettings.model_validate_json((folder / WORK_FILE).read_bytes())
    with np.load(folder / DEMAND_FILE) as file:
        unit = units_of(file["cells12"], file["cells"])
        owner = np.where(unit >= 0, file["ordinals"][unit], -1)
        lon, lat = points_from_cells(file["cells12"])
        activity = file["activity"]
    minutes: list[float | None] = []
    for ordinal, rep in enumerate(reps):
        if rep is None or rep["home"] is None:
            minutes.append(None)
            continue
        own = owner == ordinal
        work = float(activity[own, 0].sum())
        minutes.append(
            stem_minutes(
                settings, tuple(rep["home"]), lon[own], lat[own], activity[own, 1], work,
                rep["day_minutes"],
            )
        )  # fmt: skip
    return minutes
