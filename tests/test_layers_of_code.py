"""The direction of imports: the tree keeps it, and each contract notices when it does not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

PACKAGES = ("app", "geo", "balancing")
FAULTS = (
    ("geo/sphere.py", "app.errors"),
    ("geo/sphere.py", "balancing"),
    ("balancing/graph.py", "geo.cells"),
    ("balancing/graph.py", "app.settings"),
    ("app/reps/schemas.py", "app.customers.schemas"),
    ("app/policies/service.py", "app.plans.repository"),
    ("app/layers/repository.py", "app.main"),
    ("app/customers/repository.py", "app.worker"),
    ("app/jobs/runs.py", "app.layers.schemas"),
    ("app/http/paging.py", "app.reps.schemas"),
    ("app/http/paging.py", "app.auth"),
    ("app/auth/keys.py", "app.jobs.runs"),
    ("app/db/session.py", "app.http.problems"),
    ("app/workload/estimating.py", "app.db.session"),
    ("app/errors.py", "app.settings"),
    ("app/main.py", "app.worker"),
    ("app/worker.py", "app.cli"),
    ("balancing/graph.py", "shapely"),
    ("geo/sphere.py", "sqlalchemy"),
    ("geo/sphere.py", "h3"),
    ("app/customers/repository.py", "polars_h3"),
)
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache", "--config", folder / "pyproject.toml"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )


def _copy_code(folder: Path) -> None:
    for name in PACKAGES:
        shutil.copytree(
            REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "data")
        )
    shutil.copy(REPOSITORY / "pyproject.toml", folder)


@pytest.fixture(scope="module")
def report_on_faults(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is said of a copy of the code with every fault planted in it."""
    tree = tmp_path_factory.mktemp("faulty")
    _copy_code(tree)
    for module, planted in FAULTS:
        with (tree / module).open("a") as file:
            file.write(f"\nimport {planted}\n")
    done = _lint(tree)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_the_code_keeps_its_layers() -> None:
    done = _lint(REPOSITORY)

    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


@pytest.mark.parametrize(("module", "planted"), FAULTS)
def test_an_import_against_the_layers_is_noticed(
    report_on_faults: str, module: str, planted: str
) -> None:
    importer = module.removesuffix(".py").replace("/", ".")

    assert f"{importer} -> {planted} " in report_on_faults


def test_a_new_folder_must_be_given_its_layer(tmp_path: Path) -> None:
    _copy_code(tmp_path)
    (tmp_path / "app" / "novelty").mkdir()
    (tmp_path / "app" / "novelty" / "__init__.py").touch()

    done = _lint(tmp_path)

    assert done.returncode == 1
    assert "novelty" in done.stdout
