"""The stand-alone checker: it passes what holds, names what does not, and trusts nothing."""

import ast
import copy
import gzip
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h3
import pytest

from geo import certificate_checker
from geo.certificate_checker import UnreadableError, check, read, touch
from tests.conftest import REPOSITORY
from tests.plans.certificates import FERRY, RIVER, make_certificate

Document = dict[str, Any]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Document:
    """Mixed resolutions, a river across everything, and the ferry that makes it one piece."""
    with pytest.MonkeyPatch.context() as patch:
        return make_certificate(
            tmp_path_factory.mktemp("plan"),
            patch,
            n_territories=3,
            barriers=[{"geometry": RIVER}],
            bridges=[FERRY],
        )


def verdict_on(document: Document) -> dict[str, Any]:
    return check(read(json.dumps(document).encode()))


def faults_of(document: Document) -> dict[str, list[str]]:
    return {found["check"]: found["faults"] for found in verdict_on(document)["checks"]}


def test_a_certificate_of_a_design_holds(good: Document) -> None:
    verdict = verdict_on(good)

    assert verdict["verdict"] == "holds", verdict
    assert [found["holds"] for found in verdict["checks"]] == [True] * 8
    assert len({h3.get_resolution(cell) for cell in good["cells"]}) > 1
    assert good["forbidden"]
    assert "over the bridges Ferry" in verdict["checks"][1]["note"]
    assert verdict["not_proven"] == good["not_proven"] != []


def test_cells_stand_territory_by_territory(good: Document) -> None:
    sizes = [territory["n_cells"] for territory in good["territories"]]

    assert good["territory"] == [n for n, size in enumerate(sizes) for _ in range(size)]


@pytest.mark.parametrize(
    "wishes",
    [
        {"objective": "total_distance"},
        {"objective": "cut_edges"},
        {"centres": [{"territory": "T01", "lon": 113.5, "lat": 30.3, "pull": 0.4}]},
        {
            "objective": "total_distance",
            "centres": [{"territory": "T02", "lon": 113.5, "lat": 30.3}],
        },
        {"tolerances": {"customers": None}},
        {"tolerances": {"work_minutes": 0.001}, "split_heavy_cells": False},
        {"limits": {"customers": {"max": 100}}, "tolerances": {"customers": None}},
        {"n_territories": 1},
    ],
)
def test_certificates_of_every_kind_of_plan_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wishes: dict[str, Any]
) -> None:
    document = make_certificate(tmp_path, monkeypatch, **wishes)

    verdict = verdict_on(document)

    assert verdict["verdict"] == "holds", verdict


def _move_a_cell(document: Document) -> None:
    """The last cell of the first territory, a leaf, goes to another."""
    last = document["territories"][0]["n_cells"] - 1
    document["territory"][last] = document["territory"][-1]


def _swap_sums(document: Document) -> None:
    document["territories"][0]["sums"][0] += 1.0


def _shift_everything_alike(document: Document) -> None:
    document["activity"]["work_minutes"][5] += 50.0


def _raise_the_bound(document: Document) -> None:
    objective = document["objective"]
    objective["bound"] *= 1.001
    objective["gap"] = objective["value"] / objective["bound"] - 1


def _lower_the_gap(document: Document) -> None:
    document["objective"]["gap"] /= 2


def _lower_the_objective(document: Document) -> None:
    document["objective"]["value"] *= 0.999


def _spoil_a_price(document: Document) -> None:
    document["territories"][1]["price"] += 1e9


def _drop_a_cell(document: Document) -> None:
    for name in ("cells", "territory", "parent"):
        document[name].pop()
    for values in document["activity"].values():
        values.pop()


def _double_a_cell(document: Document) -> None:
    document["cells"][3] = document["cells"][2]


def _list_a_cell_and_its_parent(document: Document) -> None:
    fine = max(range(len(document["cells"])), key=lambda n: h3.get_resolution(document["cells"][n]))
    level = h3.get_resolution(document["cells"][fine])
    document["cells"][fine - 1] = h3.cell_to_parent(document["cells"][fine], level - 1)


def _name_no_cell(document: Document) -> None:
    document["cells"][0] = "123"


def _close_a_cycle(document: Document) -> None:
    number = document["parent"].index(0)
    document["parent"][0] = number


def _cut_the_tree(document: Document) -> None:
    document["parent"][1] = -1


def _hang_a_cell_from_afar(document: Document) -> None:
    number = document["territories"][0]["n_cells"] - 1
    document["parent"][number] = 0


def _take_away_the_ferry(document: Document) -> None:
    document["bridges"] = []


def _move_the_ferry(document: Document) -> None:
    document["bridges"][0]["cells"] = [0, 1]


def _cross_the_river(document: Document) -> None:
    """Two touching cells that a tree joins are declared to be parted."""
    document["forbidden"].append([0, document["parent"].index(0)])


def _move_a_centre(document: Document) -> None:
    document["territories"][0]["centre"][0] += 5.0


def _move_the_middle(document: Document) -> None:
    document["projection"]["lat"] += 0.01


def _hide_an_imbalance(document: Document) -> None:
    document["territories"][0]["imbalance"][0] = 0.0


def _shift_the_targets(document: Document) -> None:
    for number, territory in enumerate(document["territories"]):
        territory["targets"][0] = territory["sums"][0] * (1.5 if number else 1.0)
        territory["imbalance"][0] = 1 / 1.5 - 1 if number else 0.0


def _tighten_the_tolerance(document: Document) -> None:
    document["tolerances"][0] = 1e-6


def _miscount_the_links(document: Document) -> None:
    document["cut_edges"] -= 1


def _take_something_away_from_a_cell(document: Document) -> None:
    document["activity"]["work_minutes"][0] = -1.0


def _lower_a_limit(document: Document) -> None:
    document["limits"][1]["max"] = 1.0


def _drop_the_bound(document: Document) -> None:
    document["objective"]["bound"] = None


def _drop_the_gap(document: Document) -> None:
    document["objective"]["gap"] = None


TAMPERINGS = [
    (_move_a_cell, "every cell once", "has"),
    (_swap_sums, "sums, totals and imbalances", "T01"),
    (_shift_everything_alike, "sums, totals and imbalances", "T01"),
    (_raise_the_bound, "lower bound (cells x territories)", "prove a bound"),
    (_lower_the_gap, "lower bound (cells x territories)", "the gap is"),
    (_lower_the_objective, "objective", "moment_of_inertia"),
    (_spoil_a_price, "lower bound (cells x territories)", "prove a bound"),
    (_drop_a_cell, "every cell once", "T03"),
    (_double_a_cell, "every cell once", "stands twice"),
    (_list_a_cell_and_its_parent, "every cell once", "lies inside another"),
    (_name_no_cell, "every cell once", "123 is no H3 cell"),
    (_close_a_cycle, "every territory connected", "does not stand before it"),
    (_cut_the_tree, "every territory connected", "T01 has a second root"),
    (_hang_a_cell_from_afar, "every territory connected", "does not touch"),
    (_take_away_the_ferry, "every territory connected", "across a barrier"),
    (_move_the_ferry, "every territory connected", "across a barrier"),
    (_cross_the_river, "every territory connected", "across a barrier"),
    (_move_a_centre, "centres", "5.000 m"),
    (_move_the_middle, "centres", "away from the middle"),
    (_hide_an_imbalance, "sums, totals and imbalances", "T01"),
    (_shift_the_targets, "sums, totals and imbalances", "the targets of work_minutes"),
    (_tighten_the_tolerance, "tolerances and limits, or a violation", "no violation says so"),
    (_miscount_the_links, "cut edges", "links are between territories"),
    (_take_something_away_from_a_cell, "sums, totals and imbalances", "has -1.0 work_minutes"),
    (_lower_a_limit, "tolerances and limits, or a violation", "outside of its limits"),
    (_drop_the_bound, "lower bound (cells x territories)", "there is no bound"),
    (_drop_the_gap, "lower bound (cells x territories)", "there is no gap"),
]


@pytest.mark.parametrize(("tamper", "title", "word"), TAMPERINGS)
def test_what_was_tampered_with_is_named(
    good: Document, tamper: Any, title: str, word: str
) -> None:
    document = copy.deepcopy(good)
    tamper(document)

    verdict = verdict_on(document)

    assert verdict["verdict"] == "does not hold"
    faults = faults_of(document)[title]
    assert any(word in fault for fault in faults), faults


def test_a_moved_cell_is_caught_even_when_it_is_counted_where_it_went(good: Document) -> None:
    document = copy.deepcopy(good)
    number = document["territories"][0]["n_cells"] - 1
    _move_a_cell(document)
    document["territories"][0]["n_cells"] -= 1
    document["territories"][document["territory"][number]]["n_cells"] += 1

    faults = faults_of(document)["every territory connected"]

    assert f"cell {document['cells'][number]} of T03 hangs from" in faults[0]
    assert "another territory" in faults[0]


def test_a_centre_of_distances_is_one_of_the_territorys_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = make_certificate(tmp_path, monkeypatch, objective="total_distance")
    document["territories"][0]["centre_cell"] = len(document["cells"]) - 1

    assert "a centre that is none of its cells" in faults_of(document)["centres"][0]


def test_the_number_of_cut_edges_is_the_objective_where_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = make_certificate(tmp_path, monkeypatch, objective="cut_edges")
    document["objective"]["value"] -= 1

    assert "cut edges, not" in faults_of(document)["objective"][0]


def test_cells_of_two_resolutions_touch_where_a_neighbour_of_the_finer_lies_in_the_coarser() -> (
    None
):
    coarse = h3.str_to_int(h3.latlng_to_cell(30.5, 113.0, 5))
    inside = h3.get_resolution(h3.int_to_str(coarse))
    ring = [h3.str_to_int(cell) for cell in h3.grid_ring(h3.int_to_str(coarse), 1)]
    fine = [
        h3.str_to_int(child)
        for cell in ring
        for child in h3.cell_to_children(h3.int_to_str(cell), inside + 2)
    ]
    touching = [cell for cell in fine if touch(cell, coarse)]

    assert 0 < len(touching) < len(fine)
    for cell in touching:
        assert touch(coarse, cell)
        nearby = h3.grid_disk(h3.int_to_str(cell), 1)
        assert any(h3.cell_to_parent(near, inside) == h3.int_to_str(coarse) for near in nearby)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.pop("cells"),
        lambda document: document.update(version=2),
        lambda document: document.update(parent=document["parent"][:-1]),
        lambda document: document.update(territory=["0", *document["territory"][1:]]),
        lambda document: document["territory"].__setitem__(0, 99),
        lambda document: document["totals"].__setitem__(0, True),
        lambda document: document["activity"]["work_minutes"].__setitem__(0, None),
        lambda document: document.update(cells=[]),
        lambda document: document.update(territories=None),
        lambda document: document["objective"].update(name="beauty"),
        lambda document: document["projection"].update(name="mercator"),
        lambda document: document["totals"].append(0.0),
    ],
)
def test_a_file_of_another_form_is_unreadable(good: Document, spoil: Any) -> None:
    document = copy.deepcopy(good)
    spoil(document)

    with pytest.raises(UnreadableError):
        read(json.dumps(document).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b'{"format": NaN}', b"[" * 5000])
def test_no_json_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(data)


def test_only_the_standard_library_and_h3_are_imported() -> None:
    tree = ast.parse(Path(certificate_checker.__file__).read_text())
    names = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or "relative"]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert names - set(sys.stdlib_module_names) == {"h3"}


def _run(folder: Path, data: bytes, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of the one file, away from everything else of ours."""
    shutil.copy(certificate_checker.__file__, folder / "checker.py")
    (folder / "certificate").write_bytes(data)
    return subprocess.run(
        [sys.executable, "-I", "checker.py", "certificate", *options],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip


def test_the_command_says_what_holds_and_what_stays_open(good: Document, tmp_path: Path) -> None:
    done = _run(tmp_path, gzip.compress(json.dumps(good).encode()))

    assert done.returncode == 0, done.stderr
    assert "holds   every territory connected" in done.stdout
    assert f"Open: {good['not_proven'][0]}" in done.stdout
    assert done.stdout.endswith("The certificate holds.\n")


def test_the_command_fails_with_the_territory_by_name(good: Document, tmp_path: Path) -> None:
    document = copy.deepcopy(good)
    _swap_sums(document)

    done = _run(tmp_path, json.dumps(document).encode(), "--json", "--skip-bound")

    assert done.returncode == 1
    verdict = json.loads(done.stdout)
    assert verdict["verdict"] == "does not hold"
    assert "territory T01 has" in verdict["checks"][2]["faults"][0]
    assert verdict["checks"][-1]["holds"] is None


def test_the_command_tells_an_unreadable_file_from_a_false_one(tmp_path: Path) -> None:
    broken = _run(tmp_path, b"\x1f\x8bnonsense")
    missing = subprocess.run(
        [sys.executable, "-I", certificate_checker.__file__, str(tmp_path / "missing"), "--json"],
        capture_output=True, text=True,
    )  # fmt: skip

    assert broken.returncode == missing.returncode == 2
    assert "cannot be checked" in broken.stderr
    assert json.loads(missing.stdout)["verdict"] == "unreadable"


@pytest.mark.parametrize(
    ("data", "options", "status", "said"),
    [
        (None, [], 0, "The certificate holds."),
        (None, ["--json", "--skip-bound"], 0, '"verdict": "holds"'),
        (b"{}", ["--json"], 2, '"verdict": "unreadable"'),
        (b"\x1f\x8bnonsense", [], 2, "cannot be checked: broken gzip"),
    ],
)
def test_the_installed_command_reads_standard_input(
    good: Document,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    data: bytes | None,
    options: list[str],
    status: int,
    said: str,
) -> None:
    given = io.TextIOWrapper(io.BytesIO(json.dumps(good).encode() if data is None else data))
    monkeypatch.setattr(sys, "stdin", given)
    monkeypatch.setattr(sys, "argv", ["bailiwick-check", "-", *options])

    with pytest.raises(SystemExit) as end:
        certificate_checker.main()

    assert end.value.code == status
    assert said in "".join(capsys.readouterr())


def test_the_code_shown_in_the_documents_checks_what_it_says(good: Document) -> None:
    text = (REPOSITORY / "docs" / "certificate.md").read_text()
    shown: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0], shown)

    shown["check"](good)
    for tamper in (_double_a_cell, _swap_sums, _hang_a_cell_from_afar, _cut_the_tree):
        document = copy.deepcopy(good)
        tamper(document)
        with pytest.raises(AssertionError):
            shown["check"](document)


def test_every_member_of_the_file_is_documented(good: Document) -> None:
    text = (REPOSITORY / "docs" / "certificate.md").read_text()
    names = {*good, *good["objective"], *good["projection"], *good["territories"][0]}

    assert [name for name in sorted(names) if f"`{name}`" not in text] == []
