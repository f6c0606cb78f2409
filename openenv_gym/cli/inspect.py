"""``openenv-gym inspect``: what an environment looks like from outside, and why."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from openenv_gym.address import shown_url
from openenv_gym.cli.flags import add_kwargs, parsing
from openenv_gym.errors import InvalidRequestError
from openenv_gym.server.settings import json_object
from openenv_gym.texts import escaped, quoted

if TYPE_CHECKING:
    from openenv_gym.endpoints import ConnectOptions

_MOST_ITEMS = 8
_MOST_TEXT = 300
_MOST_SENTENCE = 2000


def add_to(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "inspect",
        help="show spaces, models, schemas and messages of an environment",
        description="Show the spaces of an environment and the reason of each, its typed models "
        "as Python classes, its JSON schemas, and one message each way. An environment that is "
        "named is built and plays one step; of a server the schemas are read, and one reset is "
        "made where they leave something open.",
    )
    parser.add_argument(
        "target",
        help="a Gymnasium id (CartPole-v1, module:id), openspiel:GAME, gym:ID, an openenv/ id, "
        "my_env.py:MyEnv, package.module:Class, or the URL of an OpenEnv server",
    )
    add_kwargs(parser)
    add_connection(parser)
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object, with nothing left out"
    )
    parser.set_defaults(run=run)


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say how a server is reached, and what is known of its spaces."""
    for side in ("action", "observation"):
        parser.add_argument(
            f"--{side}-key",
            metavar="FIELD",
            action="append",
            help=f"the field that holds the {side}; more than once for a Dict of several",
        )
    parser.add_argument(
        "--fixed-action",
        type=parsing(json_object),
        metavar="JSON",
        help="fields of the action that are always the same, as a JSON object",
    )
    parser.add_argument(
        "--mask-means", choices=["mask", "indices"], help="what the field action_mask holds"
    )
    parser.add_argument(
        "--header",
        type=parsing(header),
        default=[],
        action="append",
        metavar="NAME:VALUE",
        help="a header for a server, such as 'Authorization: Bearer ...'; may be given more than "
        "once",
    )
    parser.add_argument(
        "--token",
        metavar="TOKEN",
        help="the secret that opens a server; a list of processes shows it, and that of the "
        "variable OPENENV_GYM_TOKEN it does not",
    )


def header(text: str) -> tuple[str, str]:
    """Return the name and the value of a header in ``text``, for argparse."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise InvalidRequestError(f"expected a header as 'Name: value', got {text!r}")
    return name.strip(), value.strip()


def run(options: argparse.Namespace) -> None:
    """Print what is found; an environment whose spaces stay open is an error at the end."""
    from openenv_gym.cli.targets import target_of
    from openenv_gym.envs.inspection import inspect
    from openenv_gym.errors import SpaceError

    found = inspect(target_of(options.target), kwargs=options.kwargs, options=connection(options))
    print(
        json.dumps(_document(found), indent=2)
        if options.json
        else escaped("\n".join(_report(found)))
    )
    if found.problem:
        raise SpaceError(found.problem)


def connection(options: argparse.Namespace) -> ConnectOptions:
    """Return what the flags of :func:`add_connection` say."""
    from openenv_gym.client.websocket import WebSocketOptions
    from openenv_gym.endpoints import ConnectOptions

    return ConnectOptions(
        options=WebSocketOptions(headers=dict(options.header)) if options.header else None,
        action_key=_key(options.action_key),
        observation_key=_key(options.observation_key),
        fixed_action=options.fixed_action,
        mask_means=options.mask_means,
        token=options.token,
    )


def remote_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return what ``openenv/remote-v0`` is made with, for the server that is the target.

    Raises:
        InvalidRequestError: keyword arguments of an environment are given.
    """
    if options.kwargs:
        raise InvalidRequestError(
            f"--kwargs: expected none for {shown_url(options.target)}, which was started with its "
            "own"
        )
    known = {name: value for name, value in vars(connection(options)).items() if value}
    return {"base_url": options.target, **known}


def _key(names: list[str] | None) -> Any:
    """One name, several, or None."""
    return names[0] if names and len(names) == 1 else tuple(names) if names else None


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
        "warnings": list(inference.warnings) if inference is not None else [],
        "problem": found.problem or None,
        "models": found.models,
        "schemas": found.schemas,
        "examples": [example._asdict() for example in found.examples],
        "examples_are_played": found.are_played,
        "has_probed": inference is not None and inference.has_probed,
    }


def _report(found: Any) -> Iterator[str]:
    yield f"{quoted(found.name)}\n"
    yield from _heading("Spaces")
    inference = found.inference
    if inference is None:
        yield f"open: {quoted(found.problem, _MOST_SENTENCE)}"
    else:
        yield f"action       {inference.action_space}   {_fields(inference.action_key)}"
        yield f"observation  {inference.observation_space}   {_fields(inference.observation_key)}"
        yield ""
        yield from (f"because {quoted(reason, _MOST_SENTENCE)}" for reason in inference.reasons)
        yield from (
            f"not sure: {quoted(warning, _MOST_SENTENCE)}" for warning in inference.warnings
        )
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


def _fields(key: Any) -> str:
    if key is None:
        return "(all fields)"
    return f"(field {key!r})" if isinstance(key, str) else f"(fields {', '.join(map(repr, key))})"


def _heading(text: str) -> Iterator[str]:
    yield f"\n{text}\n{'-' * len(text)}"


def _shortened(data: Any) -> Any:
    """Return ``data`` with long arrays and texts cut, for people; ``--json`` shows all."""
    if isinstance(data, str) and len(data) > _MOST_TEXT:
        return f"{data[:_MOST_TEXT]}… {len(data) - _MOST_TEXT} more characters"
    if isinstance(data, dict):
        return {key: _shortened(item) for key, item in data.items()}
    if not isinstance(data, list):
        return data
    shown = [_shortened(item) for item in data[:_MOST_ITEMS]]
    more = len(data) - _MOST_ITEMS
    return [*shown, f"… {more} more"] if more > 0 else shown
