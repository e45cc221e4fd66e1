"""All tables, one module per subject."""

from app.db.tables.access import ApiKey, AuditEvent, IdempotencyKey
from app.db.tables.activity import (
    ActivityCell,
    ActivityDelta,
    ActivityTotal,
    HeatState,
    MeasureSnapshot,
)
from app.db.tables.base import Base
from app.db.tables.generation import DataChange, DataGeneration, SetAsideIndex
from app.db.tables.geofence import Geofence, GeofenceCell
from app.db.tables.people import Customer, Rep
from app.db.tables.plan_life import PlanComment, PlanEdit, PlanEvent
from app.db.tables.planning import (
    CustomerOverride,
    Layer,
    Plan,
    PlanCell,
    Publication,
    Territory,
    TerritoryOwner,
)
from app.db.tables.policy import Policy, PolicyFiring, PolicyVersion
from app.db.tables.proofs import (
    PlanCertificate,
    PlanFront,
    PlanFrontPoint,
    PlanInput,
    PlanSource,
)
from app.db.tables.rebalancing import PlanMove, Rebalance
from app.db.tables.scheduling import Schedule, ScheduleNight
from app.db.tables.work import Artifact, ImportFault, Run, RunEvent, Upload, UploadChunk

__all__ = [
    "ActivityCell",
    "ActivityDelta",
    "ActivityTotal",
    "ApiKey",
    "Artifact",
    "AuditEvent",
    "Base",
    "Customer",
    "CustomerOverride",
    "DataChange",
    "DataGeneration",
    "Geofence",
    "GeofenceCell",
    "HeatState",
    "IdempotencyKey",
    "ImportFault",
    "Layer",
    "MeasureSnapshot",
    "Plan",
    "PlanCell",
    "PlanCertificate",
    "PlanComment",
    "PlanEdit",
    "PlanEvent",
    "PlanFront",
    "PlanFrontPoint",
    "PlanInput",
    "PlanMove",
    "PlanSource",
    "Policy",
    "PolicyFiring",
    "PolicyVersion",
    "Publication",
    "Rebalance",
    "Rep",
    "Run",
    "RunEvent",
    "Schedule",
    "ScheduleNight",
    "SetAsideIndex",
    "Territory",
    "TerritoryOwner",
    "Upload",
    "UploadChunk",
]
