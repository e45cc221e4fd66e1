"""`python -m app.cli` is `bailiwick`."""

from app.cli import main

main()
