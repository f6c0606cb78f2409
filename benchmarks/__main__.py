"""``python -m benchmarks [PART] [options]``."""

import argparse
import importlib
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks import DEFAULT, PARTS
from benchmarks.children import BenchmarkError

PROG = "python -m benchmarks"


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    # SIGTERM unwinds as Ctrl-C does, so that every process that was started is ended.
    signal.signal(signal.SIGTERM, leave)
    try:
        options.run(options)
    except BenchmarkError as exc:
        print(f"{PROG}: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line; the name of the default part may be left out."""
    parser = argparse.ArgumentParser(
        prog=PROG, description="Measure the speed beside its limits and its peers."
    )
    parts = parser.add_subparsers(title="parts", metavar="PART", required=True)
    for name, module_name in PARTS.items():
        module = importlib.import_module(module_name)
        summary = (module.__doc__ or "").partition("\n")[0].rstrip(".")
        part = parts.add_parser(
            name,
            help=summary + (" (the default)" if name == DEFAULT else ""),
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for option, (default, text) in module.OPTIONS.items():
            add_option(part, option, default, text)
        if hasattr(module, "STOCK"):
            add_option(part, "without-stock", False, "leave the stock OpenEnv peer out")
            text = f"a Python with {module.STOCK}; unless given, .venv-stock is made"
            part.add_argument("--stock-python", type=Path, metavar="PATH", help=text)
        text = f"gets results/{name}.json, and the tables into its README.md"
        add_option(part, "output", Path(__file__).parent, text)
        part.set_defaults(run=module.run)
    is_named = bool(arguments) and (arguments[0] in ("-h", "--help") or arguments[0][0] != "-")
    return parser.parse_args(arguments if is_named else [DEFAULT, *arguments])


def add_option(parser: argparse.ArgumentParser, name: str, default: Any, text: str) -> None:
    """Add an option that takes what its default is; where that is a tuple, several of these."""
    if default is False:
        parser.add_argument(f"--{name}", action="store_true", help=text)
        return
    several = {"nargs": "+"} if isinstance(default, tuple) else {}
    one = default[0] if several else default
    kind = (
        positive if isinstance(one, int) and one else Path if isinstance(one, Path) else type(one)
    )
    text += " (default: %(default)s)"
    parser.add_argument(f"--{name}", type=kind, default=default, metavar="X", help=text, **several)


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {value}")
    return value


def leave(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second signal would interrupt the clearing up
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
