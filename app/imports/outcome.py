"""The result of an import in numbers and one sentence."""

from typing import Any

from app.imports.merge import Counts
from app.imports.schemas import ImportRequest


def outcome(
    request: ImportRequest, filename: str, sha256: str, summary: dict[str, Any], counts: Counts
) -> dict[str, Any]:
    """Return the result document of a run."""
    return {
        "kind": request.kind,
        "filename": filename,
        "sha256": sha256,
        "dry_run": request.dry_run,
        "rows": summary["rows"],
        "created": counts.created,
        "updated": counts.updated,
        "unchanged": counts.unchanged,
        "rejected": summary["rejected"],
        "mapping": summary["mapping"],
        "other_columns": summary["extras"],
        "message": _message(request, summary, counts),
    }


def _message(request: ImportRequest, summary: dict[str, Any], counts: Counts) -> str:
    rejected = summary["rejected"]
    if rejected == summary["rows"]:
        return f"Nothing could be stored: all {_rows(rejected)} were rejected."
    if not counts.created and not counts.updated:
        if not rejected:
            return f"Nothing changed: all {_rows(counts.unchanged)} are as stored."
        return f"Nothing changed: {_rows(counts.unchanged)} as stored, {rejected} rejected."
    told = f"{counts.created} created, {counts.updated} updated, {counts.unchanged} unchanged"
    told += f", {rejected} rejected."
    return f"Dry run, nothing was stored: {told}" if request.dry_run else f"{told}"


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"
