"""``openenv-gym doctor``: what an interpreter can serve, and why not the rest."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from openenv_gym.errors import OpenEnvGymError


def add_to(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "doctor",
        help="say what an interpreter can serve, and what it lacks",
        description="Say what an interpreter can serve, and what it lacks for the rest. The exit "
        "code is 0 if it can serve something.",
    )
    parser.add_argument(
        "--python",
        metavar="PATH",
        help="another interpreter: its path, the folder of a venv, or a recipe as "
        "uv:gym==0.26.2,numpy<2 (default: this one)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, with all that is known")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print what is found; exit with 1 where nothing can be served."""
    from openenv_gym.workers.interpreter_paths import interpreter_path
    from openenv_gym.workers.interpreter_process import surveyed

    try:
        found = surveyed(interpreter_path(options.python or sys.executable))
    except OpenEnvGymError as exc:
        if not options.json:
            raise
        print(json.dumps({"executable": options.python, "error": str(exc)}, indent=1))
        sys.exit(1)
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        print("\n".join(_lines(found, is_other=options.python is not None)))


def _lines(found: Mapping[str, Any], *, is_other: bool) -> Iterator[str]:
    from openenv_gym.envs.catalog import aligned

    kind = "" if found["implementation"] == "cpython" else f" ({found['implementation']})"
    yield f"{found['executable']}: Python {found['python']}{kind}, numpy {found['numpy']}\n"
    rows = [("  module:Class", "classes and functions of modules in this folder")]
    lacks = []
    for name, package in found["packages"].items():
        if package["version"] is None:
            why = package["error"] or "not installed"
            hint = f"{found['executable']} -m pip install {package['install']}"
            lacks.append((f"  {name}", f"{package['gives']}: {why}; {hint}"))
        elif is_other and package["needs_us"]:
            lacks.append((f"  {name} {package['version']}", _needs_us(found, package)))
        else:
            rows.append((f"  {name} {package['version']}", package["gives"] + _count(found, name)))
    yield f"can serve\n{aligned(rows)}"
    if lacks:
        yield f"\ncannot serve\n{aligned(lacks)}"


def _needs_us(found: Mapping[str, Any], package: Mapping[str, Any]) -> str:
    return (
        f"{package['gives']}: needs openenv_gym in that interpreter, as a server there: "
        f"{found['executable']} -m pip install openenv_gym"
    )


def _count(found: Mapping[str, Any], name: str) -> str:
    counts = found["ids"].get(name)
    if not counts:
        return ""
    each = ", ".join(f"{count} of {space or 'no namespace'}" for space, count in counts.items())
    return f" ({each})"
