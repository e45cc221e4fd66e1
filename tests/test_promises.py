"""Each test that the documents name as a proof exists."""

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

DOCUMENTS = sorted((REPOSITORY / "docs").glob("*.md"))
PROOF = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def _tests_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_proofs_that_a_document_names_exist(document: Path) -> None:
    for place, name in PROOF.findall(document.read_text()):
        path = REPOSITORY / place
        assert path.is_file(), place
        assert not name or name in _tests_of(path), f"{place}::{name}"


def test_security_and_operations_name_their_proofs() -> None:
    for name in ("security.md", "operations.md"):
        assert len(PROOF.findall((REPOSITORY / "docs" / name).read_text())) >= 10, name
