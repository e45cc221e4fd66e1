"""What our tests read tiles with, held to the published fixtures of the format."""

import csv
import json
from pathlib import Path

import mapbox_vector_tile
import pytest

# Of an unknown type, and with more points promised than there are: the decoder refuses them, and
# none of our tiles is like them.
REFUSED = {"039", "057"}


def test_the_decoder_reads_every_valid_tile_of_the_fixtures(shared_data: Path) -> None:
    folder = shared_data / "mvt_fixtures"
    with (folder / "index.csv").open(newline="") as file:
        index = list(csv.DictReader(file))
    read = 0
    for row in index:
        if not json.loads(row["validity"]).get("v2") or row["fixture"] in REFUSED:
            continue
        fixture = folder / "fixtures" / row["fixture"]
        expected = json.loads((fixture / "tile.json").read_text())

        decoded = mapbox_vector_tile.decode((fixture / "tile.mvt").read_bytes())

        names = [layer["name"] for layer in expected.get("layers", [])]
        assert sorted(decoded) == sorted(names), row["fixture"]
        for layer in expected.get("layers", []):
            found = decoded[layer["name"]]
            assert found.get("extent", 4096) == layer.get("extent", 4096), row["fixture"]
            assert len(found["features"]) == len(layer["features"]), row["fixture"]
        read += 1
    assert read >= 10


@pytest.mark.parametrize("damage", [b"\x1a", b"\x1a\xff\xff\xff\xff\x0f", b"no tile at all"])
def test_the_decoder_notices_what_is_no_tile(damage: bytes) -> None:
    with pytest.raises(Exception, match=r"."):
        mapbox_vector_tile.decode(damage)
