"""The examples of geojson-invalid-geometry: each is taken, or refused with its place."""

import csv
import json
from pathlib import Path

import orjson

from app.errors import InvalidInput
from app.imports import parse
from tests.inputs.bombs import JSON
from tests.inputs.standing import (
    LONGEST_S,
    MOST_KB_ABOVE_IDLE,
    Standing,
    Watch,
    import_file,
    memory_kb,
    reset_peak,
)

# RFC 7946 §3.1.6 asks readers to take either direction of a ring.
TAKEN_ALL_THE_SAME = {"invalid_exterior_not_ccw.geojson", "invalid_interior_not_cw.geojson"}


def _examples(folder: Path) -> list[tuple[str, Path]]:
    with (folder / "index.csv").open(encoding="utf-8") as file:
        return [(row["class"], folder / row["class"] / row["file"]) for row in csv.DictReader(file)]


def test_each_example_is_a_geofence_or_refused_with_its_place(
    standing: Standing, shared_data: Path
) -> None:
    before = standing.row_counts()
    taken, refused = set(), set()

    for kind, path in _examples(shared_data / "geojson_validity"):
        reset_peak(standing.pid)
        body = json.dumps({"name": path.stem, "geometry": json.loads(path.read_bytes())}).encode()
        answer = standing.send("POST", "/v1/geofences", JSON, body)

        assert answer.status in (201, 422), (path.name, answer.body)
        assert answer.seconds <= LONGEST_S, path.name
        assert memory_kb(standing.pid, "VmHWM") - standing.idle_kb <= MOST_KB_ABOVE_IDLE
        (taken if answer.status == 201 else refused).add(path.name)
        if answer.status == 422:
            (fault,) = answer.document["errors"]
            assert fault["pointer"].startswith("/geometry"), (path.name, fault)
            assert len(fault["detail"]) > 10, (path.name, fault)
        if kind.startswith("invalid"):
            assert (answer.status == 201) == (path.name in TAKEN_ALL_THE_SAME), path.name

    assert taken >= {"valid_geometry_polygon.geojson", "valid_geometry_multipolygon.geojson"}
    assert len(taken) + len(refused) == 73
    after = standing.row_counts()
    assert after["geofence"] == before["geofence"] + len(taken), "what was refused is not there"
    assert standing.is_alive()


def test_no_example_is_taken_for_a_file_of_customers(shared_data: Path, tmp_path: Path) -> None:
    request = orjson.dumps({"kind": "customers", "mapping": {}, "on_error": "skip"})
    (tmp_path / "request.json").write_bytes(request)

    for _, path in _examples(shared_data / "geojson_validity"):
        (tmp_path / "upload").write_bytes(path.read_bytes())
        try:
            parse.main(tmp_path)
        except InvalidInput:
            continue
        assert (tmp_path / "faults.copy").read_text(), path.name
        assert not (tmp_path / "accepted.copy").read_text(), path.name


def test_no_example_harms_an_import(standing: Standing, worker: Watch, shared_data: Path) -> None:
    before = standing.row_counts()
    worker.forget()
    one_of_each = dict(_examples(shared_data / "geojson_validity"))

    for path in one_of_each.values():
        run = import_file(standing, path.read_bytes(), path.name)
        assert run["state"] == "failed", (path.name, run)
        assert run["error"]["type"] == "/problems/invalid-input", (path.name, run)
        assert run["error"]["errors"], path.name

    after = standing.row_counts()
    assert (after["customer"], after["upload_chunk"]) == (before["customer"], 0)
    assert worker.largest_child_kb - worker.idle_child_kb <= MOST_KB_ABOVE_IDLE
    assert standing.is_alive()
