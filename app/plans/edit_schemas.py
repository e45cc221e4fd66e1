"""What edits of a draft look like outside."""

from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from app.http.values import Name, StrictModel
from app.plans.request import MOST_CELLS, MOST_TERRITORIES, Code
from app.plans.schemas import PlanView

MOST_MOVES = 1000

Cells = Annotated[
    list[Annotated[str, Field(pattern=r"^[0-9a-f]{15,16}$")]],
    Field(
        min_length=1,
        max_length=MOST_CELLS,
        examples=[["862830807ffffff"]],
        description="H3 cells of any resolution: a coarser cell than the plan's stands for all of "
        "the plan's cells inside it, a finer one for the cell that holds it. One outside of the "
        "plan is refused",
    ),
]
Codes = Annotated[list[Code], Field(max_length=MOST_TERRITORIES)]


class CopyRequest(StrictModel):
    """How the copy is called."""

    name: Name | None = Field(default=None, description="By default that of the plan, and “copy”")


class Move(StrictModel):
    """Cells, and the territory they go to."""

    cells: Cells
    to: Code


class MoveRequest(StrictModel):
    """Moves that are made together: only what comes of all of them must hold."""

    moves: Annotated[list[Move], Field(min_length=1, max_length=MOST_MOVES)]


class MergeRequest(StrictModel):
    """Territories that become one, with the code of one of them."""

    model_config = {
        "json_schema_extra": {"examples": [{"territories": ["T01", "T02"], "into": "T01"}]}
    }

    territories: Annotated[list[Code], Field(min_length=2, max_length=MOST_TERRITORIES)]
    into: Code


class SplitRequest(StrictModel):
    """A territory, and the number of parts to make of it."""

    territory: Code
    parts: Annotated[int, Field(ge=2, le=MOST_TERRITORIES)] = 2


class LockRequest(StrictModel):
    """Territories to keep as they are, and cells to keep in their territories."""

    territories: Codes = []
    cells: Cells | None = None

    @model_validator(mode="after")
    def _names_something(self) -> "LockRequest":
        if not self.territories and not self.cells:
            raise ValueError("name territories or cells")
        return self


class EditedTerritory(BaseModel):
    """A territory that an edit changed."""

    code: str
    is_connected: bool | None = Field(description="Null for one that is no more")
    components: int = Field(description="Connected pieces, counted apart from the solver; 0: gone")


class EditedPlan(PlanView):
    """A draft after an edit, counted with the customers of today, and what the edit changed."""

    edited: list[EditedTerritory]

    @classmethod
    def of(cls, plan: PlanView, codes: list[str]) -> "EditedPlan":
        """Return the view of a plan in which territories changed."""
        pieces = {row.code: row.components for row in plan.balance}
        edited = [
            EditedTerritory(
                code=code,
                is_connected=pieces[code] == 1 if code in pieces else None,
                components=pieces.get(code, 0),
            )
            for code in codes
        ]
        return cls(**dict(plan), edited=edited)
