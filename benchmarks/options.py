"""The options that parts have in common, and where they say how far they are."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent


def add_rounds(parser: argparse.ArgumentParser, default: int) -> None:
    parser.add_argument("--rounds", type=count(1000), default=default, help="default: %(default)s")


def add_output(parser: argparse.ArgumentParser, files: str) -> None:
    parser.add_argument(
        "--output",
        type=Path,
        default=HERE,
        metavar="FOLDER",
        help=f"gets {files}, and the tables into its README.md (default: the benchmarks' own)",
    )


def count(most: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        value = int(text)
        if not 1 <= value <= most:
            raise argparse.ArgumentTypeError(f"expected 1 to {most}, got {value}")
        return value

    return count


def say(text: str) -> None:
    print(text, flush=True)
