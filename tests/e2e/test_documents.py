"""Every command and request shown in the documents works as shown."""

import re
import subprocess
from itertools import takewhile
from pathlib import Path
from typing import Any

import orjson

from app.cli.processes import openapi_text
from app.main import BUILT_PAGE
from app.settings import Settings, WorkSettings
from tests.e2e.deployment import REPOSITORY, Deployment

BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def run_blocks(deployment: Deployment, document: str) -> list[str]:
    """Run the shell blocks of a document in order, each as one script that stops at a fault."""
    blocks = BLOCK.findall((REPOSITORY / document).read_text())
    outputs = []
    for block in blocks:
        script = block.replace("http://localhost:8000", deployment.url)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            env=deployment.environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        outputs.append(done.stdout)
    return outputs


def test_first_steps_lead_from_nothing_to_two_layers(deployment: Deployment) -> None:
    outputs = run_blocks(deployment, "docs/first-steps.md")

    assert any("Nothing changed: all 20000 rows" in output for output in outputs)
    placements = orjson.loads(outputs[-1][outputs[-1].rindex('{"items"') :])["items"]
    assert len({item["layer_id"] for item in placements}) == 2


def test_the_five_requests_of_the_readme_work(deployment: Deployment) -> None:
    (output,) = run_blocks(deployment, "README.md")

    assert "FeatureCollection" in output
    assert "location: /v1/runs/" in output.lower()


def test_the_certificate_of_the_first_plan_is_checked_as_shown(deployment: Deployment) -> None:
    if deployment.get("/v1/plans/1").status_code == 404:
        run_blocks(deployment, "docs/first-steps.md")

    (output,) = run_blocks(deployment, "docs/certificate.md")

    assert output.endswith("The certificate holds.\n")


def test_the_first_plan_is_made_again_as_shown(deployment: Deployment) -> None:
    if deployment.get("/v1/plans/1").status_code == 404:
        run_blocks(deployment, "docs/first-steps.md")

    output, *_ = run_blocks(deployment, "docs/checking.md")

    assert "Plan 1 is identical to what its manifest and its input come to." in output


def test_the_commands_for_keys_work_as_shown(deployment: Deployment) -> None:
    (output,) = run_blocks(deployment, "docs/security.md")

    assert output.startswith("bw_")
    assert "is revoked" in output


def test_the_commands_for_operators_work_as_shown(deployment: Deployment) -> None:
    (output,) = run_blocks(deployment, "docs/operations.md")

    assert "MB, revision" in output
    assert "is restored" in output
    assert "rollups equal their customers" in " ".join(output.split())


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (REPOSITORY / "README.md").read_text()

    assert len(text.splitlines()) <= 150
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (REPOSITORY / target).exists(), target


def test_the_make_targets_of_the_readme_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()

    for target in re.findall(r"make (\w+)", (REPOSITORY / "README.md").read_text()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


# Defaults that a table tells in words, by the name of the setting: its words, and what they mean.
IN_WORDS: dict[str, tuple[str, Any]] = {
    "owner_database_url": ("as above", None),
    # None stands for it, so that it is found from wherever a process is started.
    "web_folder": ("web/dist", None),
    "allowed_hosts": ("any; loopback with auth off", ()),
    "public_url": ("from the request", None),
    "max_upload_bytes": ("1 GiB", 2**30),
    "max_body_bytes": ("8 MiB", 8 * 2**20),
    "child_memory_bytes": ("4 GiB", 4 * 2**30),
    "oidc_jwks_url": ("discovered", None),
}


def settings_table(document: str) -> dict[str, str]:
    """Return the default of each setting that the table of a document names, as it is written."""
    lines = (REPOSITORY / document).read_text().splitlines()
    begin = next(n for n, line in enumerate(lines) if re.match(r"\| (variable|setting) \|", line))
    told: dict[str, str] = {}
    for line in takewhile(lambda line: line.startswith("|"), lines[begin + 2 :]):
        names, defaults, _ = line.strip("|").split("|", 2)
        for name, default in zip(names.split(", "), defaults.split(", "), strict=True):
            assert name.strip(" `") not in told, f"{name} is told twice"
            told[name.strip(" `")] = default.strip(" `")
    return told


def in_words(name: str, default: Any) -> str:
    """Return how a table writes a default."""
    words, meant = IN_WORDS.get(name, ("", ...))
    if meant == default:
        return words
    if isinstance(default, tuple):
        default = ",".join(default)
    if isinstance(default, float):
        default = f"{default:.15g}"
    return "none" if default in (None, "", {}) else str(default)


def test_every_setting_is_documented_with_its_default() -> None:
    told = settings_table("docs/operations.md")

    # The workload model has a table of its own.
    assert told.pop("BAILIWICK_WORK__…") == ""
    assert told == {
        f"BAILIWICK_{name.upper()}": in_words(name, field.default)
        for name, field in Settings.model_fields.items()
        if name != "work"
    }
    assert REPOSITORY / "web/dist" == BUILT_PAGE


def test_every_setting_of_the_workload_model_is_documented_with_its_default() -> None:
    text = (REPOSITORY / "docs/workload.md").read_text()
    # These have a table of their own.
    classes = re.findall(r"^\| ([A-Z]) \| (\d+) \| (\d+) \|$", text, re.MULTILINE)

    assert settings_table("docs/workload.md") == {
        name: in_words(name, field.default)
        for name, field in WorkSettings.model_fields.items()
        if name != "classes"
    }
    assert {name: (float(visits), float(minutes)) for name, visits, minutes in classes} == {
        name: (service.visits_per_year, service.service_minutes)
        for name, service in WorkSettings().classes.items()
    }


def test_the_committed_openapi_document_is_current() -> None:
    committed = (REPOSITORY / "docs/openapi.json").read_text()

    assert committed.strip() == openapi_text().strip(), "run `make openapi`"


def test_no_document_names_a_path_of_a_machine() -> None:
    for path in [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")]:
        assert not re.search(r"/(root|home|work)/", Path(path).read_text()), path
