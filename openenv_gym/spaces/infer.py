"""Which fields of a typed environment are the action and the observation, and in which spaces.

Several layers are asked in turn, and the first that answers wins:

1. the caller's override;
2. fields annotated with ``x-gymnasium-space``;
3. a profile of a known environment;
4. conventions of field names;
5. plain schema constraints, and what one probing reset shows if they leave something open.

Each answer comes with its reason. An ambiguous schema is an error, never a silent guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from openenv_gym.spaces.budget import SpaceBudget
from openenv_gym.spaces.descriptor import Space
from openenv_gym.spaces.fields import Key, checked_key, is_annotated, with_field
from openenv_gym.spaces.flattening import Flattening, flat_action, flat_observation
from openenv_gym.spaces.infer_masks import checked_means, with_legal_actions
from openenv_gym.spaces.infer_sides import (
    BASE_FIELDS,
    Asked,
    Side,
    action_side,
    observation_side,
)
from openenv_gym.spaces.legal_actions import LegalActions, MaskMeans
from openenv_gym.spaces.open_ends import open_ends
from openenv_gym.spaces.probing import ListTools, Probe, Sight
from openenv_gym.spaces.profiles import find_profile, patched
from openenv_gym.spaces.schema_form import check_model
from openenv_gym.spaces.schema_space import SchemaSpace
from openenv_gym.spaces.to_schema import Schema
from openenv_gym.spaces.tools import result_side, tool_side, with_arguments

__all__ = ["BASE_FIELDS", "Inference", "infer"]


@dataclass(frozen=True, kw_only=True)
class Inference:
    """The fields and spaces of one typed environment.

    Attributes:
        action_key: The field of the action model that holds the action; a path such as
            ``arguments.message``, several fields for a ``Dict`` of them, or None if the whole
            action is one value.
        action_form: The action space, and how actions are written as JSON.
        observation_key: The field of the observation model that holds the observation; a path,
            several fields or None, as for ``action_key``.
        observation_form: The observation space, and how observations are read from JSON.
        reasons: The reason of each decision, one sentence each.
        fixed_action: The fields that are the same in every action, with their values.
        legal_actions: Reads the legal actions from an observation; None if it does not say them.
        has_probed: Whether a probing reset was made.
        warnings: What is a guess, or has no bound, and the argument that settles it, one sentence
            each. They are for whoever makes the environment.
        flat_action: How a flat action becomes the action; None unless flat ones are asked for.
        flat_observation: How an observation becomes a flat one, likewise.
    """

    action_key: Key
    action_form: SchemaSpace
    observation_key: Key
    observation_form: SchemaSpace
    reasons: tuple[str, ...] = field(default=())
    fixed_action: Mapping[str, Any] = field(default_factory=dict)
    legal_actions: LegalActions | None = None
    has_probed: bool = False
    warnings: tuple[str, ...] = ()
    flat_action: Flattening | None = None
    flat_observation: Flattening | None = None

    @property
    def action_space(self) -> Space:
        """The space of the actions."""
        flat = self.flat_action
        return self.action_form.space if flat is None else flat.space

    @property
    def observation_space(self) -> Space:
        """The space of the observations."""
        flat = self.flat_observation
        return self.observation_form.space if flat is None else flat.space

    def action_data(self, data: Any) -> dict[str, Any]:
        """Return the JSON of the action model for ``data``, the JSON of an action."""
        key = self.action_key
        if key is None:
            return {**self.fixed_action, **data}
        if isinstance(key, str):
            return with_field(self.fixed_action, key, data)
        whole = dict(self.fixed_action)
        for path in key:
            whole = with_field(whole, path, data[path])
        return whole


def _action(schema: Schema, asked: Asked, sight: Sight) -> Side:
    calls = tool_side(schema, asked, sight)
    return calls or action_side(with_arguments(schema, asked, sight), asked, sight)


def _unsure(action: Side, schema: Schema, asked: Asked) -> tuple[str, ...]:
    """Return what the action space leaves open, where neither caller nor server chose it."""
    if action.warnings:
        return action.warnings
    if asked.space is not None or any(map(is_annotated, schema.get("properties", {}).values())):
        return ()
    path = f"$.action.{action.key}" if isinstance(action.key, str) else "$.action"
    return tuple(
        f"{end}, so that an agent may go beyond what the environment takes; pass action_space= "
        "with its bounds"
        for end in open_ends(action.form.space, path)
    )


def infer(  # noqa: PLR0913 - each override has its name
    action_schema: Schema,
    observation_schema: Schema,
    *,
    action_space: Space | None = None,
    observation_space: Space | None = None,
    action_key: str | Sequence[str] | None = None,
    observation_key: str | Sequence[str] | None = None,
    fixed_action: Mapping[str, Any] | None = None,
    mask_means: str | None = None,
    flatten: bool = False,
    probe: Probe | None = None,
    list_tools: ListTools | None = None,
    environment: str | None = None,
    budget: SpaceBudget | None = None,
) -> Inference:
    """Infer fields and spaces from the two schemas of an environment.

    Args:
        action_schema: JSON schema of the action model.
        observation_schema: JSON schema of the observation model.
        action_space: The action space, in place of the inferred one.
        observation_space: The observation space, in place of the inferred one.
        action_key: The field that holds the action, or several.
        observation_key: The field that holds the observation, or several.
        fixed_action: The fields that are the same in every action, with their values.
        mask_means: What ``action_mask`` holds: ``mask`` is a 0 or 1 for each action, ``indices`` a
            list of legal actions.
        flatten: Whether the numbers of both sides are laid side by side.
        probe: Makes one reset and returns what it shows; called only if something is open.
        list_tools: Asks the server for its tools; called only if the action calls one of them and
            nothing says which.
        environment: The name under ``/metadata``, which tells some environments apart.
        budget: What is left to make spaces with; a new one unless given.

    Raises:
        SpaceError: a field or a space is ambiguous; the message names the override.
        OpenEnvGymError: the probing reset failed.
    """
    check_model(action_schema, "action")
    check_model(observation_schema, "observation")
    sight = Sight(probe, list_tools, budget)
    means: MaskMeans | None = checked_means(mask_means)
    reasons: list[str] = []
    profile = find_profile(action_schema, observation_schema, environment)
    asked_action = Asked(
        key=checked_key(action_key, "action"), space=action_space, fixed=fixed_action or {}
    )
    asked_observation = Asked(
        key=checked_key(observation_key, "observation"), space=observation_space
    )
    sequences: frozenset[str] = frozenset()
    if profile is not None:
        action_schema = patched(action_schema, profile.action)
        observation_schema = patched(observation_schema, profile.observation)
        asked_action = asked_action.or_profile(
            profile.name, profile.action_key, profile.fixed_action
        )
        asked_observation = asked_observation.or_profile(profile.name, profile.observation_key)
        means = means or profile.mask_means
        sequences = profile.sequences
        reasons.append(f"$: the fields are those of {profile.name}, whose profile is used")
    action = _action(action_schema, asked_action, sight)
    answer = result_side(observation_schema, asked_observation)
    observation = answer or observation_side(
        observation_schema, asked_observation, sight, sequences
    )
    action, legal, why = with_legal_actions(
        action,
        observation_schema,
        sight,
        means,
        is_given=action_space is not None,
        count=None if profile is None else profile.count,
    )
    flat_act, flat_obs = None, None
    if flatten:
        is_asked = observation_key is not None or observation_space is not None
        observation, flat_obs = flat_observation(
            observation, is_asked=is_asked, budget=sight.budget
        )
        flat_act = flat_action(action)
        why = (*why, f"$: flatten=True gives {flat_act.space} and {flat_obs.space}")
    if sight.has_looked:
        reasons.append("$: one probing reset was made, because the schemas leave something open")
    return Inference(
        action_key=action.key,
        action_form=action.form,
        observation_key=observation.key,
        observation_form=observation.form,
        reasons=(*reasons, *action.reasons, *observation.reasons, *why),
        fixed_action=action.fixed,
        legal_actions=legal,
        has_probed=sight.has_looked,
        warnings=(
            *sight.warnings,
            *_unsure(action, action_schema, asked_action),
            *observation.warnings,
        ),
        flat_action=flat_act,
        flat_observation=flat_obs,
    )
