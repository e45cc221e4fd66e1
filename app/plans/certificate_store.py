"""The certificates of plans in the database."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import insert, literal_column, select

from app.db.scope import Scope
from app.db.session import AnySession, WriteSession
from app.db.tables import Plan, PlanCertificate
from app.errors import Fault, NotFound
from app.plans.digest import CERTIFICATE_FILE

# Whether edits of `:plan_id` count that changed whose its cells are: then its certificate is about
# another plan, until they are undone.
HAS_OTHER_CELLS = """EXISTS (SELECT FROM plan_edit WHERE plan_edit.plan_id = {plan_id}
    AND NOT is_undone AND kind IN ('moved', 'merged', 'split'))"""


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A certificate compressed by gzip, and the digest of what it is when it is not."""

    sha256: str
    compressed: bytes


async def store_certificate(session: WriteSession, plan_id: int, folder: Path) -> None:
    """Insert the certificate that the child left in its folder."""
    compressed = (folder / CERTIFICATE_FILE).read_bytes()
    document = gzip.decompress(compressed)
    await session.execute(
        insert(PlanCertificate).values(
            plan_id=plan_id,
            sha256=hashlib.sha256(document).hexdigest(),
            n_bytes=len(document),
            document=compressed,
        )
    )


async def certificate_digest(session: AnySession, scope: Scope, plan_id: int) -> str:
    """Return the SHA-256 of a plan's certificate.

    Raises
    ------
    NotFound
        When there is no such plan, or it has no certificate.
    """
    is_edited: Any = literal_column(HAS_OTHER_CELLS.format(plan_id="plan.id")).label("is_edited")
    columns: list[Any] = [Plan.id, PlanCertificate.sha256, is_edited]
    statement = (
        select(*columns)
        .outerjoin(PlanCertificate, PlanCertificate.plan_id == Plan.id)
        .where(Plan.id == plan_id)
    )
    row = (await session.execute(statement)).one_or_none()
    # It tells of all cells and what they carry, so it is for those who may see all.
    if row is None or not scope.is_unlimited:
        raise NotFound(f"There is no plan {plan_id}.")
    if row.is_edited:
        detail = "undo its edits, or design again with its parameters"
        raise NotFound(
            f"Plan {plan_id} has no certificate: none is made for this edited plan.",
            [Fault("edited", detail)],
        )
    if row.sha256 is None:
        raise NotFound(
            f"Plan {plan_id} has no certificate: it was made by a version that wrote none. "
            "Design it again with the parameters of its manifest."
        )
    return str(row.sha256)


async def load_certificate(session: AnySession, plan_id: int) -> bytes:
    """Return the compressed certificate of a plan that has one."""
    statement = select(PlanCertificate.document).where(PlanCertificate.plan_id == plan_id)
    return bytes((await session.execute(statement)).scalar_one())
