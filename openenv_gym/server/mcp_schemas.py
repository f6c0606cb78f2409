"""What the MCP tools take and answer, as JSON schemas made from the typed view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openenv_gym.protocol.events import SEEDS
from openenv_gym.spaces.labels import labels_of
from openenv_gym.spaces.to_schema import ANNOTATION, Schema
from openenv_gym.wire.description import Description
from openenv_gym.wire.typed import TypedView

NUMBERS_NOTE = (
    'Numbers that JSON does not have are the strings "NaN", "Infinity" and "-Infinity"; integers '
    "beyond 2**53 are decimal strings."
)

# What says how large a value may be, or which there must be. Environments that are careless with
# their own spaces answer otherwise, and clients check an answer against the schema of the tool:
# a number out of bounds would keep an agent from playing.
_LIMITS = frozenset(
    "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength pattern "
    f"format minItems maxItems uniqueItems required default {ANNOTATION}".split()
)
_NAMED = frozenset({"properties", "$defs", "definitions", "patternProperties"})
_LISTED = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_NESTED = frozenset({"items", "additionalProperties", "contains", "propertyNames"})
_NUMBERS = frozenset({"number", "integer"})
# These stand beside the observation on the wire, not in it.
_MOVED_OUT = ("done", "reward", "metadata")


def reset_schema(description: Description) -> Schema:
    """Return what ``reset`` takes."""
    seed: Schema = {"type": ["integer", "null"], "minimum": 0, "maximum": SEEDS - 1}
    if description.num_envs is not None:
        seed = {"anyOf": [seed, {"type": "array", "items": seed}]}
    properties: Schema = {
        "seed": {**seed, "description": "Makes the episode repeatable"},
        "options": {
            "type": ["object", "null"],
            "description": "What this environment's own reset takes beside the seed",
        },
        "episode_id": {"type": ["string", "null"], "description": "A name for the episode"},
    }
    is_typed = description.view == "model"
    return {"type": "object", "properties": properties, "additionalProperties": is_typed}


def result_schema(view: TypedView) -> Schema:
    """Return what ``reset`` and ``step`` answer: the data of an observation message."""
    observation = loosened(view.observation_schema)
    if view.num_envs is not None:
        observation = {"type": "object", "properties": {"obs": observation}}
    definitions = observation.pop("$defs", None)
    for name in _MOVED_OUT:
        observation.get("properties", {}).pop(name, None)
    reward: Schema = {"type": ["number", "string", "null"]}
    done: Schema = {"type": "boolean"}
    if view.num_envs is not None or view.pays_arrays:
        reward = {"anyOf": [{"type": "null"}, {"type": "array"}]}
    schema: Schema = {
        "type": "object",
        "description": NUMBERS_NOTE,
        "properties": {
            "observation": observation,
            "reward": {**reward, "description": "Of the last action; null after a reset"},
            "done": {**done, "description": "Whether the episode has ended"},
            "metadata": {"type": "object"},
        },
        "required": ["observation", "reward", "done"],
    }
    return schema if definitions is None else {**schema, "$defs": definitions}


def state_schema(view: TypedView) -> Schema:
    """Return what ``state`` answers."""
    return {**loosened(view.state_schema), "type": "object"}


def loosened(schema: Any) -> Any:
    """Return ``schema`` as it holds for everything that an environment may answer.

    The shape, the types and the names stay, the limits go, and a number may also be one of the
    strings that stand for numbers.

    >>> loosened({"type": "array", "items": {"type": "number", "maximum": 1}, "maxItems": 2})
    {'type': 'array', 'items': {'type': ['number', 'string']}}
    """
    if not isinstance(schema, dict):
        return schema
    loose: Schema = {}
    for key, value in schema.items():
        if key in _LIMITS or (key == "additionalProperties" and value is False):
            continue
        if key == "type":
            loose[key] = _loose_type(value)
        elif key in _NAMED:
            loose[key] = {name: loosened(child) for name, child in value.items()}
        elif key in _LISTED:  # the branches of a oneOf may overlap without their limits
            loose["anyOf" if key == "oneOf" else key] = [loosened(child) for child in value]
        else:
            loose[key] = loosened(value) if key in _NESTED else value
    return loose


def _loose_type(kind: Any) -> Any:
    kinds = kind if isinstance(kind, list) else [kind]
    if _NUMBERS.isdisjoint(kinds):
        return kind
    return ["number", "string", *(one for one in kinds if one not in (*_NUMBERS, "string"))]


def action_summary(description: Description, view: TypedView) -> str:
    """Return in a sentence what an action is: its field and what its values mean."""
    space = description.action_space
    properties = view.action_schema.get("properties", {})
    fields = [name for name in properties if name != "metadata"]
    if space is None or view.num_envs is not None:
        return f"Fields of the action: {', '.join(fields)}."
    names = labels_of(space)
    return f"`{fields[0]}` is {_meaning(space, names)}."


def _meaning(space: Any, names: tuple[str, ...]) -> str:
    kind = type(space).__name__
    if kind == "Discrete":
        low, high = int(space.start), int(space.start) + int(space.n) - 1
        if names:
            listed = ", ".join(f"{low + i} {name}" for i, name in enumerate(names))
            return f"one of: {listed}"
        return f"an integer from {low} to {high}"
    text = f"a value of {str(space)[:200]}"
    return f"{text}, in this order: {', '.join(names)}" if names else text


def legal_actions(description: Description) -> Callable[[dict[str, Any]], str | None]:
    """Return a function that names the actions that are legal after an answer.

    The function returns None where the environment does not say which actions are legal.
    """
    space = description.action_space
    if description.num_envs is not None or type(space).__name__ != "Discrete":
        return lambda data: None
    low, names = int(getattr(space, "start", 0)), labels_of(space) if space is not None else ()

    def named(data: dict[str, Any]) -> str | None:
        observation = data["observation"]
        info = observation.get("info")
        legal = observation.get("legal_actions")
        mask = info.get("action_mask") if isinstance(info, dict) else None
        if legal is None and isinstance(mask, list):
            legal = [low + i for i, is_legal in enumerate(mask) if is_legal]
        if not isinstance(legal, list) or data["done"] is not False:
            return None
        said = [str(one) for one in legal]
        if names and all(type(one) is int and 0 <= one - low < len(names) for one in legal):
            said = [f"{one} {names[one - low]}" for one in legal]
        return f"Legal actions: {', '.join(said)}"

    return named
