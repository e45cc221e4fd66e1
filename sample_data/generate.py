"""Write the sample data: `python -m sample_data.generate [--out DIR] [--seed N]`."""

import argparse
from pathlib import Path

import numpy as np
import polars as pl

from sample_data.customers import make_customers
from sample_data.reps import make_reps
from sample_data.sources import FOLDER, read_delta_places, read_land, read_us_cities
from sample_data.us_places import make_us_places

SEED = 20261101


def main() -> None:
    """Read the command line and write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    write_sample_data(arguments.out, arguments.seed)


def write_sample_data(folder: Path, seed: int = SEED) -> None:
    """Write the three CSV files to `folder`; the same seed gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    places, land = read_delta_places(), read_land()
    # A stream each, so that a change to the customers leaves the reps alone.
    of_customers, of_reps = np.random.default_rng(seed).spawn(2)
    _write(make_customers(of_customers, places, land), folder / "yangtze_customers.csv")
    _write(make_reps(of_reps, places, land), folder / "yangtze_reps.csv")
    _write(make_us_places(read_us_cities()), folder / "us_places.csv")


def _write(table: pl.DataFrame, path: Path) -> None:
    without_empty_text = table.with_columns(pl.col(pl.String).replace("", None))
    # Bytes, not text, so that lines end alike on every system.
    path.write_bytes(without_empty_text.write_csv().encode())


if __name__ == "__main__":
    main()
