"""The command line: ``mlunlearn demo``, or ``python -m mlunlearn demo``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mlunlearn import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str or None, default=None
        What follows the program's name; None reads it from the command line.

    Returns
    -------
    int
        Exit status.

    Examples
    --------
    >>> from mlunlearn.cli import main
    >>> try:
    ...     main(["--version"])
    ... except SystemExit as end:
    ...     end.code
    mlunlearn 0.1.0
    0
    """
    options = _parser().parse_args(arguments)
    if options.command == "demo":
        from mlunlearn.demo import run

        run(options.output, seed=options.seed, say=print)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mlunlearn", description="Machine unlearning: fit, unlearn, audit.")
    parser.add_argument("--version", action="version", version=f"mlunlearn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="train, forget in several requests, prove it, and audit it")
    demo.add_argument("--output", type=Path, default=Path("demo-output"), help="folder for the table and the figure")
    demo.add_argument("--seed", type=int, default=0, help="seed of everything (default: 0)")
    return parser
