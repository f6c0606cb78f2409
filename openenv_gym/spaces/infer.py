"""Which fields of a typed environment are the action and the observation, and in which spaces.

Layers, the first that answers wins: the caller's override; fields annotated with
``x-gymnasium-space``; the only field there is; plain schema constraints. Each answer keeps its
reason. What stays ambiguous is an error, never a guess in silence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from openenv_gym.errors import SpaceError
from openenv_gym.spaces.descriptor import Space
from openenv_gym.spaces.from_schema import read_schema
from openenv_gym.spaces.schema_space import SchemaSpace, given
from openenv_gym.spaces.to_schema import ANNOTATION, Schema

BASE_FIELDS = frozenset({"done", "reward", "metadata", "terminated", "truncated", "info"})
"""Fields that every typed environment may have and that are neither action nor observation."""


@dataclass(frozen=True, kw_only=True)
class Inference:
    """The fields and spaces of one typed environment.

    Attributes:
        action_key: The field of the action model that holds the action.
        action_form: Its space, and how its values are written.
        observation_key: The field of the observation model that holds the observation.
        observation_form: Its space, and how its values are read.
        reasons: Why, one sentence a decision.
    """

    action_key: str
    action_form: SchemaSpace
    observation_key: str
    observation_form: SchemaSpace
    reasons: tuple[str, ...] = field(default=())

    @property
    def action_space(self) -> Space:
        """The space of the actions."""
        return self.action_form.space

    @property
    def observation_space(self) -> Space:
        """The space of the observations."""
        return self.observation_form.space


def infer(
    action_schema: Schema,
    observation_schema: Schema,
    *,
    action_space: Space | None = None,
    observation_space: Space | None = None,
    action_key: str | None = None,
    observation_key: str | None = None,
) -> Inference:
    """Infer fields and spaces from the two schemas of an environment.

    Args:
        action_schema: JSON schema of the action model.
        observation_schema: JSON schema of the observation model.
        action_space: Overrides the inferred space, as the other keywords do.
        observation_space: See ``action_space``.
        action_key: The field that holds the action.
        observation_key: The field that holds the observation.

    Raises:
        SpaceError: a field or a space is ambiguous; the message names the override.
    """
    act_key, act_form, act_reason = _side("action", action_schema, action_key, action_space)
    obs_key, obs_form, obs_reason = _side(
        "observation", observation_schema, observation_key, observation_space
    )
    return Inference(
        action_key=act_key,
        action_form=act_form,
        observation_key=obs_key,
        observation_form=obs_form,
        reasons=(act_reason, obs_reason),
    )


def _side(
    side: str, schema: Schema, key: str | None, space: Space | None
) -> tuple[str, SchemaSpace, str]:
    properties = schema.get("properties", {}) if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        raise SpaceError(
            f"$.{side}: expected a JSON schema with 'properties', got {repr(schema)[:80]}; "
            f"no {side}_space= helps here, the server is broken"
        )
    key, why = (key, f"{side}_key=") if key is not None else _key(side, schema, properties)
    if key not in properties:
        raise SpaceError(
            f"expected {side}_key to name a field of the {side} ({', '.join(properties)}), "
            f"got {key!r}"
        )
    path = f"$.{side}.{key}"
    is_annotated = _is_annotated(properties[key])
    if space is not None:
        form = SchemaSpace(space=space) if is_annotated else given(space)
        return key, form, f"{path}: {why}; the space is the caller's {side}_space="
    source = "its annotation gives" if is_annotated else "its constraints give"
    form = read_schema(properties[key], path, schema)
    return key, form, f"{path}: {why}; {source} {form.space}"


def _key(side: str, schema: Schema, properties: dict[str, Any]) -> tuple[str, str]:
    annotated = [name for name, child in properties.items() if _is_annotated(child)]
    if len(annotated) == 1:
        return annotated[0], "the only annotated field"
    candidates = [name for name in properties if name not in BASE_FIELDS]
    required = [name for name in schema.get("required", ()) if name in candidates]
    if len(required) == 1:
        return required[0], "the only required field"
    if len(candidates) == 1:
        return candidates[0], "the only field"
    raise SpaceError(
        f"expected one field of the {side} that holds it, got {', '.join(candidates) or 'none'}; "
        f"name it with {side}_key="
    )


def _is_annotated(child: Any) -> bool:
    return isinstance(child, dict) and ANNOTATION in child
