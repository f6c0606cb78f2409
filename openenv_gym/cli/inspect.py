"""``openenv-gym inspect``: what an environment looks like from outside, and why."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from openenv_gym.cli.serve import json_object

_MOST_ITEMS = 8
_MOST_TEXT = 300


def add_to(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "inspect",
        help="show spaces, models, schemas and messages of an environment",
        description="Show the spaces of an environment and the reason of each, its typed models "
        "as Python classes, its JSON schemas, and one message each way. An environment that is "
        "named is built and plays one step; of a server only the schemas are read.",
    )
    parser.add_argument(
        "target",
        help="a Gymnasium id (CartPole-v1, module:id), openspiel:GAME, an openenv/ id, "
        "environment:package.module:Class, or the URL of an OpenEnv server",
    )
    parser.add_argument(
        "--kwargs",
        type=json_object,
        default={},
        metavar="JSON",
        help="keyword arguments of an environment that is named, as a JSON object",
    )
    parser.add_argument("--action-key", metavar="FIELD", help="the field that holds the action")
    parser.add_argument(
        "--observation-key", metavar="FIELD", help="the field that holds the observation"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object, with nothing left out"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print what is found; an environment whose spaces stay open is an error at the end."""
    from openenv_gym.envs.endpoints import SpaceOverrides
    from openenv_gym.envs.inspection import inspect
    from openenv_gym.errors import SpaceError

    overrides = SpaceOverrides(
        action_key=options.action_key, observation_key=options.observation_key
    )
    found = inspect(options.target, kwargs=options.kwargs, overrides=overrides)
    print(json.dumps(_document(found), indent=2) if options.json else "\n".join(_report(found)))
    if found.problem:
        raise SpaceError(found.problem)


def _document(found: Any) -> dict[str, Any]:
    inference = found.inference
    spaces = None
    if inference is not None:
        spaces = {
            "action": {"field": inference.action_key, "space": str(inference.action_space)},
            "observation": {
                "field": inference.observation_key,
                "space": str(inference.observation_space),
            },
        }
    return {
        "target": found.target,
        "environment": found.name,
        "spaces": spaces,
        "reasons": list(inference.reasons) if inference is not None else [],
        "problem": found.problem or None,
        "models": found.models,
        "schemas": found.schemas,
        "examples": [example._asdict() for example in found.examples],
        "examples_are_played": found.are_played,
    }


def _report(found: Any) -> Iterator[str]:
    yield f"{found.name}\n"
    yield from _heading("Spaces")
    inference = found.inference
    if inference is None:
        yield f"open: {found.problem}"
    else:
        yield f"action       {inference.action_space}   (field {inference.action_key!r})"
        yield f"observation  {inference.observation_space}   (field {inference.observation_key!r})"
        yield ""
        yield from (f"because {reason}" for reason in inference.reasons)
    yield from _heading("Models")
    yield found.models.rstrip()
    for side, schema in found.schemas.items():
        yield from _heading(f"JSON schema of the {side}")
        yield json.dumps(_shortened(schema), indent=2, ensure_ascii=False)
    if found.examples:
        origin = "played with seed 0" if found.are_played else "made from the spaces, not played"
        yield from _heading(f"Messages, {origin}")
    for example in found.examples:
        yield f"{example.title}\n  {json.dumps(_shortened(example.message), ensure_ascii=False)}"


def _heading(text: str) -> Iterator[str]:
    yield f"\n{text}\n{'-' * len(text)}"


def _shortened(data: Any) -> Any:
    """``data`` with long arrays and texts cut, for people; ``--json`` has all of it."""
    if isinstance(data, str) and len(data) > _MOST_TEXT:
        return f"{data[:_MOST_TEXT]}… {len(data) - _MOST_TEXT} more characters"
    if isinstance(data, dict):
        return {key: _shortened(item) for key, item in data.items()}
    if not isinstance(data, list):
        return data
    shown = [_shortened(item) for item in data[:_MOST_ITEMS]]
    more = len(data) - _MOST_ITEMS
    return [*shown, f"… {more} more"] if more > 0 else shown
