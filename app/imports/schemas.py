"""What an import is asked for, and what its faults look like outside."""

from collections.abc import Mapping
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, Field, ValidationError

from app.db.tables import ImportFault
from app.errors import Fault, InvalidInput
from app.http.values import SafeText, StrictModel
from app.imports.fields import KINDS

ImportKind = Literal["customers", "reps"]
ColumnName = Annotated[SafeText, Field(min_length=1, max_length=300)]


class ImportRequest(StrictModel):
    """What to import, and how; the file comes beside it."""

    kind: ImportKind
    mapping: Annotated[
        dict[str, ColumnName | Annotated[list[ColumnName], Field(max_length=10)] | None],
        Field(
            description="JSON object: the column of each field, or columns to join by '-'; null "
            "keeps a field from being guessed",
            examples=[{"external_id": ["brand", "store_id"], "lon": "longitude"}],
        ),
    ] = {}
    on_error: Annotated[
        Literal["abort", "skip"],
        Field(description="skip stores the good rows, abort stores nothing if any row is bad"),
    ] = "skip"
    dry_run: Annotated[bool, Field(description="Check and report, store nothing")] = False

    @property
    def columns(self) -> dict[str, list[str]]:
        """The columns of each mapped field; none where it shall stay empty."""
        return {
            field: [given] if isinstance(given, str) else given or []
            for field, given in self.mapping.items()
        }


class ImportFaultView(BaseModel):
    """One fault of a row, or of the file as a whole (`row` null)."""

    row: int | None = Field(
        description="Line of the file where the row starts (the header is line 1); for GeoJSON the "
        "place of the feature, from 1",
        examples=[17],
    )
    field: str | None = Field(examples=["lat"])
    code: str = Field(examples=["out-of-range"])
    detail: str = Field(examples=["'95.2' is out of range (from -90 to 90)"])

    @classmethod
    def of(cls, fault: ImportFault) -> "ImportFaultView":
        """Return the view of a fault."""
        return cls(row=fault.row, field=fault.field, code=fault.code, detail=fault.detail)


def read_request(given: Mapping[str, str]) -> ImportRequest:
    """Return the request that texts of a form or a command line stand for.

    Raises
    ------
    InvalidInput
        With one fault per wrong member, the mapping's JSON and field names included.
    """
    members: dict[str, object] = {name: value for name, value in given.items() if value != ""}
    if "mapping" in members:
        members["mapping"] = _json_object(given["mapping"])
    try:
        request = ImportRequest.model_validate(members)
    except ValidationError as error:
        faults = [
            Fault(item["type"], item["msg"], "/" + "/".join(map(str, item["loc"])))
            for item in error.errors()
        ]
        raise InvalidInput(_sentence(faults), faults) from None
    known = [field.name for field in KINDS[request.kind].fields]
    detail = f"not a field of {request.kind}; these are: {', '.join(known)}"
    faults = [
        Fault("unknown-field", detail, f"/mapping/{name}")
        for name in request.mapping if name not in known
    ]  # fmt: skip
    if faults:
        raise InvalidInput(_sentence(faults), faults)
    return request


def _json_object(text: str) -> dict[str, object]:
    try:
        mapping = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        fault = Fault("json", f"not valid JSON: {error}"[:200], "/mapping")
        raise InvalidInput("The mapping is not valid JSON.", [fault]) from None
    if not isinstance(mapping, dict):
        fault = Fault("json", 'not a JSON object such as {"lon": "longitude"}', "/mapping")
        raise InvalidInput("The mapping is not a JSON object.", [fault])
    return mapping


def _sentence(faults: list[Fault]) -> str:
    count = f"{len(faults)} wrong value" + ("s" if len(faults) != 1 else "")
    return f"The import has {count}: " + "; ".join(
        f"{fault.pointer}: {fault.detail}"[:200] for fault in faults[:3]
    )
