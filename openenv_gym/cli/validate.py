"""``openenv-gym validate``: check anybody's OpenEnv server, or a folder of an environment."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from openenv_gym.address import shown_target
from openenv_gym.cli.flags import parsing
from openenv_gym.server.settings import json_object


def add_to(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    from openenv_gym.cli.flags import add_flags
    from openenv_gym.cli.inspect import add_connection
    from openenv_gym.conformance.validation.options import ValidationOptions

    parser = commands.add_parser(
        "validate",
        help="check an OpenEnv server, or a folder of an environment",
        description="Check an OpenEnv server, or a folder of an environment. The exit code is 0 if "
        "no check failed, 1 if one did, and 2 if the checks could not be run. Warnings are about "
        "good manners and fail nothing.",
    )
    parser.add_argument(
        "target",
        nargs="?",
        help="the URL of a server, whoever wrote it; a folder with an openenv.yaml; or the name of "
        "an environment, as `serve` takes it, which is served for the checks",
    )
    parser.add_argument("--list", action="store_true", help="list the checks, and run none")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit's XML")
    add_flags(parser, ValidationOptions)
    parser.add_argument(
        "--kwargs",
        type=parsing(json_object),
        metavar="JSON",
        help="keyword arguments of an environment that is named, as a JSON object",
    )
    add_connection(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print what each check says, and exit with what it amounts to."""
    from openenv_gym.conformance.validation.report import EXIT_NOT_RUN
    from openenv_gym.errors import OpenEnvGymError

    if options.list:
        print("\n".join(_listed()))
        return
    try:
        code = _validated(options)
    except OpenEnvGymError as exc:
        code = EXIT_NOT_RUN
        if options.json:
            about = {
                "target": shown_target(options.target or ""),
                "passed": False,
                "exit_code": code,
            }
            print(json.dumps({**about, "error": str(exc)}, indent=2))
        print(f"openenv-gym: {exc}", file=sys.stderr)
    sys.stdout.flush()
    sys.exit(code)


def _validated(options: argparse.Namespace) -> int:
    from openenv_gym.cli.flags import given
    from openenv_gym.cli.inspect import connection
    from openenv_gym.conformance.validation import Report, ValidationOptions, running
    from openenv_gym.conformance.validation.report import as_json, as_junit, lines_of
    from openenv_gym.errors import InvalidRequestError

    if options.target is None:
        raise InvalidRequestError("validate needs a URL, a folder or the name of an environment")
    arguments = [] if options.kwargs is None else [f"--kwargs={json.dumps(options.kwargs)}"]
    results = []
    with running(
        options.target,
        options=ValidationOptions(**given(ValidationOptions, options)),
        connect=connection(options),
        serve_arguments=arguments,
    ) as found:
        for result in found:
            results.append(result)
            if not options.json:
                print("\n".join(lines_of(result)), flush=True)
    report = Report(target=shown_target(options.target), results=results)
    print(json.dumps(as_json(report), indent=2) if options.json else f"\n{report.summary}")
    if options.junit is not None:
        try:
            options.junit.write_text(as_junit(report), encoding="utf-8")
        except OSError as exc:
            raise InvalidRequestError(f"--junit: cannot write {options.junit}: {exc}") from exc
    return report.exit_code


def _listed() -> list[str]:
    from openenv_gym.conformance.validation import CHECKS

    lines = []
    for one in CHECKS.values():
        lines.append(one.name + (" (only if it is named)" if one.is_opt_in else ""))
        lines += [f"  {one.says}", f"  rests on: {one.rests_on}"]
    return lines
