"""Every command and request shown in the documents works as shown."""

import re
import subprocess
from pathlib import Path

import orjson

from app.cli.processes import openapi_text
from app.settings import Settings
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


def test_every_setting_is_documented() -> None:
    text = (REPOSITORY / "docs/operations.md").read_text()

    for name in Settings.model_fields:
        assert f"BAILIWICK_{name.upper()}" in text, name


def test_the_committed_openapi_document_is_current() -> None:
    committed = (REPOSITORY / "docs/openapi.json").read_text()

    assert committed.strip() == openapi_text().strip(), "run `make openapi`"


def test_no_document_names_a_path_of_a_machine() -> None:
    for path in [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")]:
        assert not re.search(r"/(root|home|work)/", Path(path).read_text()), path
