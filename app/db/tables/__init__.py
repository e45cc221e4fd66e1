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
from app.db.tables.proofs import PlanCertificate, PlanFront, PlanFrontPoint
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
    "Publication",
    "Rep",
    "Run",
    "RunEvent",
    "SetAsideIndex",
    "Territory",
    "TerritoryOwner",
    "Upload",
    "UploadChunk",
]
