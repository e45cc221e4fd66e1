"""The `bailiwick` command, also as `python -m app`."""

import gc


def main() -> None:
    """Load the command line and run it.

    Nothing that is loaded becomes garbage: looking for some among it, again and again while there
    is more and more of it, took a fifth of the time to start. What is loaded is then set apart,
    so that no later look passes over it either.
    """
    gc.disable()
    from app.cli import main as run_command

    gc.freeze()
    gc.enable()
    run_command()


if __name__ == "__main__":
    main()
