"""The options that parts have in common, and where they say how far they are."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent


def add_rounds(parser: argparse.ArgumentParser, default: int) -> None:
    parser.add_argument("--rounds", type=count(1000), default=default, help="default: %(default)s")


def add_steps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--steps", type=count(100_000), default=2000, help="a round (default: %(default)s)"
    )


def add_stock(parser: argparse.ArgumentParser, packages: str) -> None:
    parser.add_argument(
        "--without-stock", action="store_true", help="leave the stock OpenEnv peer out"
    )
    parser.add_argument(
        "--stock-python",
        type=Path,
        metavar="PATH",
        help=f"a Python with {packages}; unless given, .venv-stock is made",
    )


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
