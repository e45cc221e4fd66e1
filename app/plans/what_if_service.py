"""What must hold before a what-if is queued."""

import asyncio

from app.db.session import WriteSession
from app.db.tables import Run
from app.jobs.queue import enqueue
from app.plans.rebalance_reading import refuse_unknown
from app.plans.what_if_customers import has_customers
from app.plans.what_if_effect import areas_of, effect_of, no_customers
from app.plans.what_if_reading import read_plan_and_staff
from app.plans.what_if_request import WhatIfRequest

KIND = "what-if"


async def request_what_if(
    session: WriteSession, plan_id: int, request: WhatIfRequest, requested_by: str
) -> Run:
    """Queue a what-if, after the refusals that need no computing.

    It changes nothing, so it does not keep the layer: a rebalance of the night goes on beside it.

    Raises
    ------
    NotFound
        When there is no such plan.
    InvalidInput
        For changes that cannot be, or an area that is no polygon or has no customers.
    Conflict
        When the plan was not made by a request that can be varied.
    """
    plan, known, staff = await read_plan_and_staff(session, plan_id, request)
    refuse_unknown(request.rebalance, known.codes, "/rebalance")
    effect_of(request, known.codes, len(known.cells), staff)
    # Geometries of megabytes take a second to check, in which others are to be answered.
    for number, area in (await asyncio.to_thread(areas_of, request)).items():
        if not await has_customers(session, plan.layer_id, area):
            raise no_customers(number)
    parameters = {"plan_id": plan_id, "request": request.document()}
    return await enqueue(session, KIND, parameters, requested_by)
