"""The page of a night: its name, and by which files it is made."""

from sqlalchemy import select
from sqlalchemy.orm import undefer

from app.db.session import AnySession
from app.db.tables import Artifact, Run
from app.errors import Fault, NotFound

KIND, NIGHTLY = "night-page", "nightly"
MEDIA_TYPE = "text/html; charset=utf-8"
REPORT_FILE, MOVES_FILE, PAGE_FILE = "report.json", "moves.json", "page.html"
BEFORE, AFTER = "before", "after"


def page_name(night_id: int) -> str:
    """Return the name of the page of a night."""
    return f"night-{night_id}.html"


async def find_page(session: AnySession, night_id: int) -> bytes:
    """Return the page of a night.

    Raises
    ------
    NotFound
        While it is not made; the fault names the run that makes it.
    """
    statement = (
        select(Artifact)
        .where(Artifact.name == page_name(night_id))
        .order_by(Artifact.id.desc())
        .limit(1)
        .options(undefer(Artifact.data))
    )
    file = await session.scalar(statement)
    if file is not None:
        return file.data
    # That of the page, or that of the night where there is none to draw.
    run = await session.execute(
        select(Run.id, Run.state)
        .where(Run.kind.in_((KIND, NIGHTLY)), Run.parameters["night_id"].as_integer() == night_id)
        .order_by(Run.id.desc())
        .limit(1)
    )
    found = run.one_or_none()
    faults = [] if found is None else [Fault(f"run-{found.state}", f"/v1/runs/{found.id}")]
    raise NotFound("The page of this night is not made.", faults)
