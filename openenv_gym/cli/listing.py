"""``openenv-gym list``: which ids and names there are, and which games of OpenSpiel."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from openenv_gym.errors import InvalidRequestError


def add_to(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "list",
        help="list the ids of the namespace openenv/ and the names of adapters, or every game of "
        "OpenSpiel",
        description="List the ids that `import openenv_gym` registers, and the names that the "
        "adapters of installed packages tell, which loads these. With --openspiel, load every game "
        "of the OpenSpiel that is installed, which takes some seconds, and say what it is like, or "
        "why it is not supported.",
    )
    parser.add_argument("--openspiel", action="store_true", help="every game of OpenSpiel")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON, with all that is known")
    form.add_argument(
        "--markdown", action="store_true", help="print the games as docs/openspiel.md has them"
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help="write the games instead of printing them: with --json a whole file, without it the "
        "table of a page of markdown, between its two markers",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the ids or the games, or write the games into a file."""
    if options.openspiel:
        _games(options)
    elif options.markdown or options.write is not None:
        raise InvalidRequestError("--markdown and --write are for games: add --openspiel")
    else:
        _ids(options.json)


def _games(options: argparse.Namespace) -> None:
    from openenv_gym.adapters.openspiel_survey import encode_rows, survey_games
    from openenv_gym.envs.catalog import markdown_table, text_table, with_table

    # Read first: a file that cannot be is not worth waiting for.
    page = _read(options.write) if options.write is not None and not options.json else None
    rows = survey_games()
    if options.json:
        text = encode_rows(rows)
    elif page is not None:
        text = with_table(page, markdown_table(rows))
    else:
        text = (markdown_table(rows) if options.markdown else text_table(rows)) + "\n"
    if options.write is None:
        print(text, end="")
        return
    try:
        options.write.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise InvalidRequestError(
            f"--write: {options.write} cannot be written: {exc.strerror}"
        ) from exc


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as exc:
        raise InvalidRequestError(f"--write: {path} cannot be read: {exc.strerror}") from exc


def _ids(as_json: bool) -> None:
    from openenv_gym.envs.catalog import adapter_names, registered_ids

    listed = [*registered_ids(), *adapter_names()]
    if as_json:
        print(json.dumps([one._asdict() for one in listed], indent=1))
    else:
        print("\n".join(_grouped(listed)))


def _grouped(listed: list[Any]) -> Iterator[str]:
    from openenv_gym.envs.catalog import GROUPS, aligned

    for group, members in groupby(listed, key=lambda one: one.group):
        rows = [(f"  {one.id}", one.what) for one in members]
        yield f"{GROUPS[group]} ({len(rows)})\n{aligned(rows)}\n"
    yield "`openenv-gym list --openspiel` tells more of the games, and why some have no id."
