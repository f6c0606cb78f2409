"""The bounds of an action that ``legal_actions`` or ``action_mask`` gives, and the masks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium.spaces as gs

from openenv_gym.errors import SpaceError
from openenv_gym.spaces.fields import is_annotated
from openenv_gym.spaces.infer_sides import Side
from openenv_gym.spaces.legal_actions import (
    FIELDS,
    MOST_ACTIONS,
    LegalActions,
    MaskMeans,
    is_action_list,
    is_mask,
)
from openenv_gym.spaces.probing import Probed, Sight
from openenv_gym.spaces.profiles import Count
from openenv_gym.spaces.schema_space import SchemaSpace
from openenv_gym.spaces.to_schema import Schema

_SETTLE = "pass action_space=Discrete(n)"


def checked_means(means: Any) -> MaskMeans | None:
    """Return the caller's ``mask_means``, after a check.

    Raises:
        SpaceError: it is neither of the two.
    """
    if means not in (None, "mask", "indices"):
        raise SpaceError(f"mask_means: expected 'mask' or 'indices', got {means!r}")
    known: MaskMeans | None = means
    return known


def with_legal_actions(
    action: Side,
    observation_schema: Schema,
    sight: Sight,
    means: MaskMeans | None,
    *,
    is_given: bool,
    count: Count | None = None,
) -> tuple[Side, LegalActions | None, tuple[str, ...]]:
    """Return the action with the bounds found, a reader of legal actions, and the reasons.

    Args:
        action: The action side, before legal actions are considered.
        observation_schema: The JSON schema of the observation model, which may have a field of
            legal actions.
        sight: Makes the probing reset, if one is needed.
        means: What ``action_mask`` holds; None if that is not known.
        is_given: Whether the caller gave the action space. It is then left as it is.
        count: Tells the number of actions of a known environment.
    """
    properties = observation_schema.get("properties", {})
    name = next((name for name in FIELDS if _may_list_numbers(properties.get(name))), None)
    n = _count(action.form)
    is_bounded = n is not None or is_given or not _is_unbounded(action.form)
    is_ours = any(map(is_annotated, properties.values()))
    if name is None or is_ours or (n is None and is_bounded):
        return action, None, ()
    path = f"$.observation.{name}"
    values: Any = None
    if n is None or (means is None and name == "action_mask"):
        probed = sight.look(path)
        values = None if probed is None else probed.observation.get(name)
        if n is None and (known := _known(probed, name, count)) is not None:
            found = LegalActions(field=name, is_mask=False, n=int(known.n))
            why = f"{path}: the environment has {known} by what is known of it; action_masks, too"
            return _bounded(action, known), found, (why,)
        if problem := _problem(values, name, n, means):
            return action, None, (f"{path}: not read, {problem}",)
    is_said = means is not None and name == "action_mask"
    is_ones = means == "mask" if is_said else bool(is_mask(name, values or [], n))
    if n is not None:
        why = f"{path}: gives info['legal_actions'] and action_masks of {n} actions"
        return action, LegalActions(field=name, is_mask=is_ones, n=n), (why,)
    n = len(values) if is_ones else int(max(values)) + 1
    space = gs.Discrete(n)
    what = f"has {n} entries" if is_ones else f"goes up to {n - 1}"
    why = (
        f"{path}: {what} at the probing reset, which gives {space} and action_masks; "
        f"if there are more actions, {_SETTLE}"
    )
    bounded = _bounded(action, space)
    if not is_ones and not all(type(value) is bool for value in values):
        bounded = replace(bounded, warnings=(_guess(action, path, space),))
    return bounded, LegalActions(field=name, is_mask=is_ones, n=n), (why,)


def _known(probed: Probed | None, name: str, count: Count | None) -> gs.Discrete | None:
    """Return the space of a known environment, None where its legal actions go beyond that."""
    if probed is None or count is None:
        return None
    n, legal = count(probed), probed.observation.get(name) or [0]
    return gs.Discrete(n) if n is not None and is_action_list(legal) and max(legal) < n else None


def _bounded(action: Side, space: gs.Discrete) -> Side:
    return action.with_form(SchemaSpace(space=space, kinds=frozenset({"number"})))


def _guess(action: Side, path: str, space: gs.Discrete) -> str:
    return (
        f"$.action.{action.key}: {space} is inferred from the legal actions of one reset "
        f"({path}), and the environment may have more actions; {_SETTLE} with their number"
    )


def _may_list_numbers(child: Any) -> bool:
    """Return whether a field may hold actions by number; else it may hold their names."""
    items = child.get("items") if isinstance(child, dict) else None
    kind = items.get("type") if isinstance(items, dict) else None
    return child is not None and kind in (None, "integer", "number", "boolean")


def _problem(values: Any, name: str, n: int | None, means: MaskMeans | None) -> str:
    """Return why these values do not tell the number of actions, "" if they do."""
    if not is_action_list(values):
        return f"no reset shows a list of actions below {MOST_ACTIONS} there; {_SETTLE} for bounds"
    if not values and n is None:
        return f"it was empty at the probing reset; {_SETTLE} for bounds"
    if means is None and is_mask(name, values, n) is None:
        return (
            f"{values} may be a mask or a list of actions; "
            "mask_means='mask' or mask_means='indices' says which"
        )
    return ""


def _count(form: SchemaSpace) -> int | None:
    """Return how many actions there are if they are numbered from 0, else None."""
    space, members = form.space, form.members
    is_numbers = members is None or members == range(len(members))
    if isinstance(space, gs.Discrete) and int(space.start) == 0 and is_numbers:
        return int(space.n)
    return None


def _is_unbounded(form: SchemaSpace) -> bool:
    space = form.space
    return isinstance(space, gs.Box) and space.shape == () and space.dtype.kind == "i"
