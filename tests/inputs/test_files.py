"""Whatever a file holds: refused with its reason, in little memory, nothing of it stored."""

import pytest

from tests.inputs.files import LARGEST, SEEN_AT_ONCE, SEEN_BY_THE_RUN, BadFile
from tests.inputs.forms import FORM, form
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

# What tells of a refused import, and is to be there.
REPORT = ("run", "run_event", "import_fault", "upload", "audit_event")


@pytest.mark.parametrize("bad", SEEN_AT_ONCE, ids=lambda bad: bad.name)
def test_a_file_that_is_none_of_ours_is_refused_before_it_is_stored(
    standing: Standing, bad: BadFile
) -> None:
    before = standing.row_counts()
    reset_peak(standing.pid)
    content = bad.make()

    for _ in range(TRIES):
        answer = standing.send(
            "POST", "/v1/imports", FORM, form(content, bad.filename, **bad.form)
        )  # fmt: skip
        if answer.seconds <= LONGEST_S:
            break

    assert answer.status == 422, answer.body[:500]
    assert bad.code in [fault["code"] for fault in answer.document["errors"]]
    assert answer.seconds <= LONGEST_S
    assert memory_kb(standing.pid, "VmHWM") - standing.idle_kb <= MOST_KB_ABOVE_IDLE
    assert standing.row_counts() == before
    assert standing.is_alive()


@pytest.mark.parametrize(
    "bad",
    [
        *(pytest.param(bad, id=bad.name) for bad in SEEN_BY_THE_RUN),
        *(pytest.param(bad, id=bad.name, marks=pytest.mark.faults_long) for bad in LARGEST),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_its_run(
    standing: Standing, worker: Watch, bad: BadFile
) -> None:
    before = standing.row_counts()
    reset_peak(standing.pid)
    worker.forget()

    run = import_file(standing, bad.make(), bad.filename, **bad.form)

    assert run["state"] == "failed"
    assert bad.code in [fault["code"] for fault in run["error"]["errors"]], run["error"]
    after = standing.row_counts()
    assert {name for name in after if after[name] != before[name]} <= {*REPORT, "jobs"}
    assert after["upload_chunk"] == 0, "the bytes are let go"
    for held, idle in (
        (memory_kb(standing.pid, "VmHWM"), standing.idle_kb),
        (memory_kb(worker.pid, "VmHWM"), worker.idle_kb),
        (worker.largest_child_kb, worker.idle_child_kb),
    ):
        assert held - idle <= MOST_KB_ABOVE_IDLE, (held, idle)
    assert standing.is_alive()
