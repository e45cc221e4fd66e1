"""The run that makes the report of a plan; one made before is replaced."""

import hashlib

from sqlalchemy import delete, insert

from app.db.tables import Artifact
from app.jobs.child import run_child
from app.jobs.folders import work_folder
from app.jobs.runs import RunContext
from app.plans.report_facts import write_facts
from app.plans.report_files import FORMS, file_name
from app.plans.report_folder import WORK_FILE


async def run_report(context: RunContext) -> None:
    """Read a plan, draw its report in a child, and store all forms of it at once."""
    plan_id = int(context.parameters["plan_id"])
    async with work_folder() as folder:
        async with context.database.reading() as session:
            await write_facts(session, folder, plan_id)
        (folder / WORK_FILE).write_text(context.settings.work.model_dump_json())
        await run_child(context, "app.plans.report", folder, 0.1, 0.95)
        files = {form: (folder / f"report.{form}").read_bytes() for form in FORMS}
    context.report("storing", 0.95)
    async with context.writing() as session:
        for form, data in files.items():
            name = file_name(plan_id, form)
            await session.execute(delete(Artifact).where(Artifact.name == name))
            await session.execute(
                insert(Artifact).values(
                    run_id=context.run_id, name=name, media_type=FORMS[form], data=data
                )
            )
        result = {
            "plan_id": plan_id,
            "files": {
                form: {
                    "href": f"/v1/plans/{plan_id}/report.{form}",
                    "size_bytes": len(data),
                    "sha256": hashlib.sha256(data).hexdigest(),
                }
                for form, data in files.items()
            },
        }
        await context.succeed(session, result)
