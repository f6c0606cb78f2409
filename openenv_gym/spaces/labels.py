"""Component labels: names for the parts of a space, so that people write ``obs.pole_angle``.

Gymnasium numbers the components of a ``Box``. A label gives each a name, which appears in the
JSON schema and in the typed models. The space itself does not change: it equals the one without
labels, and its values are the same arrays, so that algorithms notice nothing.
"""

from __future__ import annotations

import copy
import keyword
from collections import Counter
from collections.abc import Iterable
from functools import singledispatch
from typing import Any, TypeVar

import gymnasium.spaces as gs

from openenv_gym.errors import SpaceError
from openenv_gym.spaces.known_labels import known_labels

SpaceT = TypeVar("SpaceT", bound=gs.Space[Any])

LABELS = "labels"
"""The attribute of a space that has them."""
# The methods of a named tuple, which a component must not hide.
_RESERVED = frozenset({"count", "index"})


def label(space: SpaceT, names: Iterable[str]) -> SpaceT:
    """Return a copy of ``space`` whose components are called ``names``.

    Args:
        space: A ``Box``, ``MultiDiscrete`` or ``MultiBinary`` of one axis, whose elements get
            the names; a ``Tuple``, whose items get them; or a ``Discrete``, whose values get
            them, from ``start`` on.
        names: The name of each component, in order. They are distinct Python identifiers.

    >>> space = label(gs.Box(-1, 1, (2,)), ["angle", "speed"])
    >>> space == gs.Box(-1, 1, (2,)), labels_of(space)
    (True, ('angle', 'speed'))

    Raises:
        SpaceError: the names are not as many as the components, or one is no identifier.
    """
    names, count = tuple(names), component_count(space)
    if count is None:
        raise SpaceError(
            "expected a Box, MultiDiscrete or MultiBinary of one axis, a Tuple or a Discrete to "
            f"label, got {str(space)[:80]}"
        )
    if len(names) != count:
        raise SpaceError(f"expected {count} labels for {str(space)[:80]}, got {len(names)}")
    for name in names:
        if not _is_name(name):
            raise SpaceError(
                f"labels: expected Python identifiers that do not begin with an underscore and "
                f"are no keyword, 'count' or 'index', got {str(name)[:40]!r}"
            )
    if len(set(names)) < count:
        twice, _ = Counter(names).most_common(1)[0]
        raise SpaceError(f"labels: expected distinct names, got {twice!r} twice")
    labelled = copy.deepcopy(space)  # a shallow copy would share the generator
    setattr(labelled, LABELS, names)
    return labelled


def labels_of(space: gs.Space[Any]) -> tuple[str, ...]:
    """Return the names of the components of ``space``, () if it has none."""
    names: tuple[str, ...] = getattr(space, LABELS, ())
    return names


def label_known(
    env_id: str, action_space: gs.Space[Any], observation_space: gs.Space[Any]
) -> tuple[gs.Space[Any], gs.Space[Any]]:
    """Return both spaces of one of Gymnasium's environments with the labels that we ship.

    A space that has labels of its own keeps them. A space that the shipped labels do not fit, for
    example because ``make`` had other arguments, gets none: no names are better than wrong ones.

    Args:
        env_id: An id of Gymnasium, such as ``CartPole-v1``.
        action_space: The action space of the environment.
        observation_space: The observation space of the environment.
    """
    known = known_labels(env_id)
    return (
        _first_fit(action_space, known.action),
        _first_fit(observation_space, known.observation),
    )


def _first_fit(space: SpaceT, candidates: Iterable[tuple[str, ...]]) -> SpaceT:
    if labels_of(space):
        return space
    count = component_count(space)
    return next((label(space, names) for names in candidates if len(names) == count), space)


def _is_name(name: object) -> bool:
    return (
        isinstance(name, str)
        and name.isidentifier()
        and not name.startswith("_")
        and not keyword.iskeyword(name)
        and name not in _RESERVED
    )


@singledispatch
def component_count(space: gs.Space[Any]) -> int | None:
    """Return how many components of ``space`` can have a name, None if its kind has no labels."""
    return None


@component_count.register(gs.Box)
@component_count.register(gs.MultiDiscrete)
@component_count.register(gs.MultiBinary)
def _(space: gs.Box | gs.MultiDiscrete | gs.MultiBinary) -> int | None:
    return space.shape[0] if len(space.shape) == 1 else None


@component_count.register
def _(space: gs.Discrete) -> int | None:
    return int(space.n)


@component_count.register(gs.Tuple)
def _(space: gs.Tuple[Any]) -> int | None:
    return len(space.spaces)
