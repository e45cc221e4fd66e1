"""JSON Merge Patch (RFC 7396): a change holds the members that differ, null removes one."""

from copy import deepcopy
from typing import Annotated, Any, TypeVar

from fastapi import Body
from pydantic import BaseModel, ValidationError

from app.errors import Fault, InvalidInput
from app.http.problems import invalid_values

MEDIA_TYPE = "application/merge-patch+json"
Model = TypeVar("Model", bound=BaseModel)
Patch = Annotated[dict[str, Any], Body(media_type=MEDIA_TYPE)]


def patched(stored: Model, patch: dict[str, Any]) -> Model:
    """Return `stored` with the patch applied; a member that is removed gets its default.

    Raises
    ------
    InvalidInput
        When the result is not a valid model, or the patch has members that the model lacks.
    """
    document = merge(stored.model_dump(by_alias=True, mode="json"), patch)
    try:
        return type(stored).model_validate(document)
    except ValidationError as error:
        found = [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        raise invalid_values(found) from None


def merge(target: Any, patch: Any) -> Any:
    """Return the target with the patch applied (RFC 7396, section 2)."""
    if not isinstance(patch, dict):
        return deepcopy(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def patch_document(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI request body of a patch of `model`: every member may be left out."""
    schema = model.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
    properties = {name: _nullable(member) for name, member in schema["properties"].items()}
    document = {
        "type": "object",
        "title": f"{model.__name__}Patch",
        "properties": properties,
        "additionalProperties": False,
        "examples": [example],
    }
    return {"requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": document}}}}


def refuse_identity(patch: dict[str, Any], *names: str) -> None:
    """Refuse a patch of members by which a resource is known.

    Raises
    ------
    InvalidInput
        Naming them.
    """
    faults = [
        Fault("immutable", "by this the resource is known: it cannot be changed", f"/{name}")
        for name in names
        if name in patch
    ]
    if faults:
        raise InvalidInput("The identity of a resource cannot be changed.", faults)


def _nullable(member: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in member.items() if name not in ("default", "title")}
    if any(option == {"type": "null"} for option in kept.get("anyOf", ())):
        return kept
    return {"anyOf": [kept, {"type": "null"}]}
