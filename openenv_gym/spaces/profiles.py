"""What is known of the environments that OpenEnv began with, as data.

A profile is recognised by the names of the fields. It says what their schemas leave out: bounds,
which field is the action, which fields are the observation. Its entries replace the schemas of
fields; everything else is inferred as for any environment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from openenv_gym.spaces.fields import Key, is_annotated
from openenv_gym.spaces.known_games import actions_of_game
from openenv_gym.spaces.legal_actions import MaskMeans
from openenv_gym.spaces.probing import Probed
from openenv_gym.spaces.to_schema import Schema

Count: TypeAlias = Callable[[Probed], int | None]
"""Returns the number of actions, None where a reset does not tell it for sure."""

_TEXT: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}
_TOKENS: Schema = {"type": "array", "items": {"type": "integer", "minimum": 0}}


def _array(item: Schema, *lengths: int) -> Schema:
    for length in reversed(lengths):
        item = {"type": "array", "items": item, "minItems": length, "maxItems": length}
    return item


def _record(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What is known of one environment.

    Attributes:
        name: The name of the environment, for messages.
        recognised_by: All fields of the action, and some fields of the observation.
        environments: The possible names under ``/metadata``, if the fields alone are not enough
            to recognise it.
        action: Schemas by field of the action, which replace the server's own.
        observation: Schemas by field of the observation, which replace the server's own.
        action_key: The field or fields that hold the action.
        observation_key: The field or fields that hold the observation.
        fixed_action: The fields that are the same in every action, with their values.
        mask_means: What ``action_mask`` holds, ``mask`` or ``indices``.
        sequences: The names of fields whose length changes within an episode.
        count: Tells the number of actions by what a reset shows.
    """

    name: str
    recognised_by: tuple[frozenset[str], frozenset[str]]
    environments: frozenset[str] = frozenset()
    action: Mapping[str, Schema]
    observation: Mapping[str, Schema] = field(default_factory=dict)
    action_key: Key
    observation_key: Key
    fixed_action: Mapping[str, Any] = field(default_factory=dict)
    mask_means: MaskMeans | None = None
    sequences: frozenset[str] = frozenset()
    count: Count | None = None


def _all_in(name: str) -> Count:
    """Return the count of an environment in which a field lists all actions at any time."""

    def count(probed: Probed) -> int | None:
        listed = probed.observation.get(name)
        return len(listed) if listed and listed == list(range(len(listed))) else None

    return count


def _by(action: str, observation: str) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(action.split()), frozenset(observation.split())


PROFILES: tuple[Profile, ...] = (
    Profile(
        name="echo",
        recognised_by=_by("message", "echoed_message message_length"),
        action={"message": _TEXT},
        action_key="message",
        observation_key="echoed_message",
    ),
    Profile(
        name="echo",
        recognised_by=_by("type tool_name arguments", "tool_name result error"),
        environments=frozenset({"echo_env", "EchoEnvironment"}),
        action={"arguments": _record(message=_TEXT)},
        observation={"result": _record(data=_TEXT)},
        action_key="arguments.message",
        observation_key="result.data",
        fixed_action={"type": "call_tool", "tool_name": "echo_message"},
    ),
    Profile(
        name="openspiel",
        recognised_by=_by(
            "action_id game_name game_params", "info_state legal_actions current_player_id"
        ),
        action={"action_id": _INTEGER},
        action_key="action_id",
        observation_key="info_state",
        count=lambda probed: actions_of_game(probed.state),
    ),
    Profile(
        name="connect4",
        recognised_by=_by("column", "board legal_actions"),
        action={"column": {**_INTEGER, "minimum": 0, "maximum": 6}},
        observation={"board": _array({"type": "integer", "minimum": -1, "maximum": 1}, 6, 7)},
        action_key="column",
        observation_key="board",
    ),
    Profile(
        name="atari",
        recognised_by=_by(
            "action_id game_name obs_type full_action_space", "screen screen_shape legal_actions"
        ),
        action={"action_id": _INTEGER},
        action_key="action_id",
        observation_key="screen",
        count=_all_in("legal_actions"),
    ),
    Profile(
        name="browsergym",
        recognised_by=_by("action_str", "text url screenshot goal axtree_txt pruned_html"),
        action={"action_str": _TEXT},
        action_key="action_str",
        observation_key=(
            "text",
            "url",
            "goal",
            "axtree_txt",
            "pruned_html",
            "error",
            "last_action_error",
        ),
    ),
    Profile(
        name="coding",
        recognised_by=_by("code", "stdout stderr exit_code"),
        action={"code": _TEXT},
        action_key="code",
        observation_key=("stdout", "stderr", "exit_code"),
    ),
    Profile(
        name="chat",
        recognised_by=_by("tokens", "messages tokens"),
        action={"tokens": {**_TOKENS, "minItems": 1}},
        observation={
            "messages": {"type": "array", "items": _record(role=_TEXT, content=_TEXT)},
            "tokens": _TOKENS,
        },
        action_key="tokens",
        observation_key=("messages", "tokens"),
        sequences=frozenset({"tokens"}),
    ),
    Profile(
        name="git",
        recognised_by=_by(
            "action_type repo_name target_dir command working_dir",
            "success message output error repos",
        ),
        action={
            "action_type": {"enum": ["list_repos", "clone_repo", "execute_git_command"]},
            "repo_name": _TEXT,
            "command": _TEXT,
            "working_dir": _TEXT,
        },
        action_key=("action_type", "repo_name", "command", "working_dir"),
        observation_key=("success", "message", "output", "error"),
    ),
    Profile(
        name="finrl",
        recognised_by=_by("actions", "state portfolio_value date"),
        action={
            "actions": {
                "type": "array",
                "items": {"type": "number", "minimum": -1, "maximum": 1},
            }
        },
        action_key="actions",
        observation_key="state",
    ),
    Profile(
        name="sumo_rl",
        recognised_by=_by("phase_id ts_id", "observation observation_shape action_mask sim_time"),
        action={"phase_id": _INTEGER},
        action_key="phase_id",
        observation_key="observation",
        mask_means="indices",
        count=_all_in("action_mask"),
    ),
    Profile(
        name="maze",
        recognised_by=_by("action", "legal_actions current_position previous_position"),
        action={"action": {**_INTEGER, "minimum": 0, "maximum": 3}},
        action_key="action",
        observation_key=("current_position", "previous_position"),
    ),
    Profile(
        name="textarena",
        recognised_by=_by("message", "prompt messages current_player_id legal_players"),
        action={"message": _TEXT},
        action_key="message",
        observation_key=("prompt", "messages"),
    ),
    Profile(
        name="dipg_safety",
        recognised_by=_by("llm_response", "context question"),
        action={"llm_response": _TEXT},
        action_key="llm_response",
        observation_key=("context", "question"),
    ),
)


UNKNOWN_ACTION: Schema = {"type": "object", "properties": {}, "additionalProperties": True}
"""The schema of an action that the server does not describe."""


def find_profile(action: Any, observation: Any, environment: str | None = None) -> Profile | None:
    """Return the profile of an environment, None if there is none.

    Args:
        action: The JSON schema of the action model.
        observation: The JSON schema of the observation model.
        environment: The name of the environment under ``/metadata``, None if it is not known.
    """
    acts, sees = _properties(action), _properties(observation)
    if any(is_annotated(child) for child in (*acts.values(), *sees.values())):
        return None
    own = acts.keys() - {"metadata"}
    for profile in PROFILES:
        acted, seen = profile.recognised_by
        fits = (own == acted or action == UNKNOWN_ACTION) and seen <= sees.keys()
        if fits and (not profile.environments or environment in profile.environments):
            return profile
    return None


def _properties(schema: Any) -> dict[str, Any]:
    found = schema.get("properties") if isinstance(schema, dict) else None
    return found if isinstance(found, dict) else {}


def needs_name(action: Any) -> bool:
    """Return whether only its name tells an environment from others with the same action."""
    own = _properties(action).keys() - {"metadata"}
    return any(p.environments and p.recognised_by[0] == own for p in PROFILES)


def patched(schema: Schema, fields: Mapping[str, Schema]) -> Schema:
    """Return ``schema`` with the schemas of these fields replaced."""
    return {**schema, "properties": {**schema.get("properties", {}), **fields}}
