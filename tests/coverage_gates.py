"""The gates of coverage: `coverage json -o - | python -m tests.coverage_gates`."""

import sys
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import orjson

# Per folder the least percentage of its branches that the tests have to take.
GATES = {"balancing": 95.0, "geo": 95.0, "app": 88.0}


@dataclass
class Tally:
    """What there is to take in a folder, and what was taken."""

    n_lines: int = 0
    n_lines_taken: int = 0
    n_branches: int = 0
    n_branches_taken: int = 0

    @property
    def branches(self) -> float:
        return 100 * self.n_branches_taken / max(self.n_branches, 1)

    @property
    def lines(self) -> float:
        return 100 * self.n_lines_taken / max(self.n_lines, 1)


def tallies(document: dict[str, Any]) -> dict[str, Tally]:
    """Sum a JSON report of coverage by the gates' folders."""
    sums = {folder: Tally() for folder in GATES}
    for path, file in document["files"].items():
        tally, found = sums[PurePath(path).parts[0]], file["summary"]
        tally.n_lines += found["num_statements"]
        tally.n_lines_taken += found["covered_lines"]
        tally.n_branches += found["num_branches"]
        tally.n_branches_taken += found["covered_branches"]
    return sums


def main() -> int:
    """Print a line per folder; return how many folders are below their gate."""
    n_below = 0
    for folder, tally in tallies(orjson.loads(sys.stdin.buffer.read())).items():
        gate = GATES[folder]
        is_below = tally.branches < gate
        n_below += is_below
        sys.stdout.write(
            f"{folder + '/':11} branches {tally.branches:5.1f} %, lines {tally.lines:5.1f} %"
            f"   gate {gate:.0f} %{'   TOO LOW' if is_below else ''}\n"
        )
    return n_below


if __name__ == "__main__":
    sys.exit(main())
