"""Forms that are none, too much of one, or cut off; file names that want to go elsewhere."""

from collections.abc import Callable, Iterator

import pytest

from tests.inputs.files import GOOD, HEADER
from tests.inputs.forms import BOUNDARY, FORM, end_of_form, form, part
from tests.inputs.standing import (
    LONGEST_S,
    MOST_KB_ABOVE_IDLE,
    TRIES,
    Standing,
    Watch,
    import_file,
    memory_kb,
    reset_peak,
)

FILE = part('name="file"; filename="a.csv"', HEADER + GOOD)
KIND = part('name="kind"', b"customers")


def _endless(start: bytes, piece: bytes) -> Iterator[bytes]:
    # A piece of no bytes would end the body.
    yield start or piece
    for _ in range(30):
        yield piece * (2**20 // len(piece))


FORMS: dict[str, Callable[[], bytes | Iterator[bytes]]] = {
    "nothing": bytes,
    "no form": lambda: HEADER + GOOD,
    "another boundary": lambda: (KIND + FILE).replace(BOUNDARY.encode(), b"other"),
    "no file": lambda: KIND + end_of_form(),
    "a file without a name": lambda: KIND + part('name="file"', HEADER) + end_of_form(),
    "a part without a name": lambda: part("", b"a") + FILE + end_of_form(),
    "two files": lambda: KIND + FILE + FILE + end_of_form(),
    "10,000 parts": lambda: part('name="a"', b"1") * 10_000 + end_of_form(),
    "10,000 files": lambda: FILE * 10_000 + end_of_form(),
    "a member of 30 MB": lambda: _endless(b"", part('name="kind"', b"x" * 2**20)),
    "one member of 30 MB": lambda: _endless(part('name="kind"', b"").rstrip() + b"\r\n\r\n", b"x"),
    "a part header of 30 MB": lambda: _endless(f"--{BOUNDARY}\r\nX: ".encode(), b"x"),
    "30 MB before the first part": lambda: _endless(b"", b"x"),
    "cut in the file": lambda: KIND + FILE[:-30],
    "cut in a head": lambda: KIND + FILE[:20],
    "an unknown member": lambda: part('name="colour"', b"red") + KIND + FILE + end_of_form(),
    "no kind": lambda: FILE + end_of_form(),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_form_that_is_none_is_refused_at_once(standing: Standing, name: str) -> None:
    before = standing.row_counts()
    reset_peak(standing.pid)

    for _ in range(TRIES):
        answer = standing.send("POST", "/v1/imports", FORM, FORMS[name]())
        if answer.seconds <= LONGEST_S:
            break

    assert answer.status in (400, 413, 422), answer.body[:500]
    assert answer.headers["content-type"] == "application/problem+json", answer
    assert answer.seconds <= LONGEST_S
    assert memory_kb(standing.pid, "VmHWM") - standing.idle_kb <= MOST_KB_ABOVE_IDLE
    assert standing.row_counts() == before
    assert standing.is_alive()


@pytest.mark.parametrize(
    "kind",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=b0undary",
     "multipart/form-data; boundary=" + "b" * 5000, "text/csv", "multipart/form-data; charset=x"],
)  # fmt: skip
def test_a_form_needs_its_boundary(standing: Standing, kind: str) -> None:
    answer = standing.send("POST", "/v1/imports", {"Content-Type": kind}, form(HEADER + GOOD))

    assert answer.status in (400, 415, 422), answer.body
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\\\..\\\\windows\\\\system.ini", "system.ini"),
        ("/", "upload"),
        ("客户 👩.csv", "客户 👩.csv"),
        ("n" * 1000 + ".csv", "n" * 300),
        ("a\u202egnp.csv", "agnp.csv"),
    ],
)
def test_the_name_of_a_file_leads_nowhere(
    standing: Standing, worker: Watch, given: str, kept: str
) -> None:
    run = import_file(standing, HEADER + GOOD, given, dry_run="true")

    assert run["result"]["filename"] == kept


def test_formulas_and_marks_are_kept_as_text(standing: Standing, worker: Watch) -> None:
    texts = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "مرحبا", "👩‍👩‍👧‍👦", "\u202eevil"]
    rows = "".join(f"F{n},{text},1,1,{text}\n" for n, text in enumerate(texts))

    run = import_file(standing, b"external_id,name,lon,lat,note\n" + rows.encode())

    assert run["result"]["created"] == len(texts), run
    for number, text in enumerate(texts):
        found = standing.send("GET", f"/v1/customers?external_id=F{number}", {}).document["items"]
        assert (found[0]["name"], found[0]["attributes"]) == (text, {"note": text})
