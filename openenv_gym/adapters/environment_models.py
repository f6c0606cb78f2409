"""Which models a typed environment has: given, or found in its class and its module.

Many environments annotate ``step`` with OpenEnv's bare ``Action``, or with nothing. A bare
``Action`` has no field that says what to do, so that every action of a client would be refused. So
the models are looked for in this order: the type parameters of the class, the annotations of its
``step``, the annotations of its other methods, the classes that its module knows. What is found in
none of these, or not alone, has to be given.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Iterable, Iterator
from functools import reduce
from operator import or_
from types import SimpleNamespace
from typing import Any, NamedTuple

from pydantic import BaseModel, RootModel

from openenv_gym.errors import EnvStartError
from openenv_gym.wire.models import State, type_parameters

Model = type[BaseModel]
_BASES = {"action": "Action", "observation": "Observation", "state": "State"}
_VARIABLES = {"action": "ActT", "observation": "ObsT", "state": "StateT"}


class Models(NamedTuple):
    """The models of a typed environment.

    Attributes:
        action: The class of its actions.
        observation: The class of its observations.
        state: The class of its state.
    """

    action: Model
    observation: Model
    state: Model


def names_models(kind: type[Any]) -> bool:
    """Return whether a class itself names a model: its type parameters, or its annotations."""
    return bool(type_parameters(kind)) or any(_annotated(kind).values())


def models_of(kind: type[Any], name: str, action: Any = None, observation: Any = None) -> Models:
    """Return the models of an environment class.

    Args:
        kind: The class.
        name: The name of the environment, for messages.
        action: The class of its actions, where it is given.
        observation: The class of its observations, where it is given.

    Raises:
        EnvStartError: a model is neither given nor found, or what is given is none.
    """
    given = {"action": action, "observation": observation}
    for side, model in given.items():
        if model is not None and _model(model) is None:
            raise EnvStartError(
                f"{name}: expected a pydantic class as the {side} model, got {model!r:.80}"
            )
    annotated = _annotated(kind)
    found = {}
    for side in _BASES:
        candidates = [given.get(side), type_parameters(kind).get(_VARIABLES[side]), annotated[side]]
        models = [one for one in candidates if one is not None]
        telling = [one for one in models if one is given.get(side) or not _is_bare(one, side)]
        others = [] if telling else _others(kind, side)
        if telling:
            found[side] = telling[0]
        elif side == "state":  # any fields may be in it
            found[side] = models[0] if models else State
        elif len(others) == 1:
            found[side] = others[0]
        elif side == "observation" and models and not others:
            found[side] = models[0]  # all that it says is its metadata
        else:
            raise EnvStartError(_said(kind, name, side, models, others))
    return Models(**found)


def _said(kind: type[Any], name: str, side: str, models: list[Model], others: list[Model]) -> str:
    """Say that a model was not found, what was, and what to do."""
    base = _BASES[side]
    named = f"the bare {base}" if models else f"no {base}"
    known = ", ".join(f"{one.__module__}:{one.__qualname__}" for one in others)
    return (
        f"{name}: the models of {kind.__name__} are not known: its step names {named}, and "
        f"{kind.__module__} has "
        f"{f'several that it may mean ({known})' if others else f'no other {base}'}; "
        f"annotate step with your {base}, derive {kind.__name__} from Environment[YourAction, "
        f"YourObservation, YourState], or give it (serve --{side}-model package.module:Your{base}, "
        f"create_app(..., {side}_cls=Your{base}))"
    )


def _annotated(kind: type[Any]) -> dict[str, Model | None]:
    """Return the models in the annotations of ``step``, ``reset`` and ``state``."""
    step, reset = _hints(getattr(kind, "step", None)), _hints(getattr(kind, "reset", None))
    returned = _model(step.pop("return", None))
    if returned is None or _is_bare(returned, "observation"):
        first = _model(reset.get("return"))
        returned = first if first is not None else returned
    action = step.get("action", next(iter(step.values()), None))
    state = _hints(getattr(getattr(kind, "state", None), "fget", None))
    return {
        "action": _model(action),
        "observation": returned,
        "state": _model(state.get("return")),
    }


def _others(kind: type[Any], side: str) -> list[Model]:
    """Return the models of one kind that the class, or else its module, has elsewhere."""
    ancestors = [one for one in kind.__mro__ if one.__name__ != "Environment"]
    functions = [
        value for one in ancestors for value in vars(one).values() if inspect.isfunction(value)
    ]
    found = _of_side([hint for one in functions for hint in _hints(one).values()], side)
    for one in ancestors:
        module = sys.modules.get(one.__module__)
        found = found or _of_side(list(vars(module).values()) if module else [], side)
    return found


def _of_side(values: Iterable[Any], side: str) -> list[Model]:
    models = [model for model in map(_model, values) if model is not None]
    telling = [one for one in models if _descends(one, side) and not _is_bare(one, side)]
    return list(dict.fromkeys(telling))


def _descends(model: Model, side: str) -> bool:
    """Whether ``model`` descends from an ``Action``, say, ours or OpenEnv's."""
    return any(base.__name__ == _BASES[side] for base in model.__mro__[1:])


def _is_bare(model: Model, side: str) -> bool:
    """Whether ``model`` is the base class itself, which says nothing of an environment."""
    return model.__name__ == _BASES[side] and model.__bases__ == (BaseModel,)


def _model(hint: Any) -> Model | None:
    """Return the model that an annotation names, also of ``Model | None``; one for a union."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return None
    models = [_model(one) for one in typing.get_args(hint) if one is not type(None)]
    if len(models) == 1 or None in models:
        return models[0] if len(models) == 1 else None
    root: Any = RootModel  # whose argument is known here only
    union: Model = root[reduce(or_, models)]
    return union


def _hints(function: Any) -> dict[str, Any]:
    """Return the annotations of a function, but those that exist for type checkers only."""
    return {} if function is None else dict(_resolved(function))


def _resolved(function: Any) -> Iterator[tuple[str, Any]]:
    names = getattr(inspect.unwrap(function), "__globals__", {})
    for name, annotation in getattr(function, "__annotations__", {}).items():
        try:
            one = SimpleNamespace(__annotations__={name: annotation})
            yield name, typing.get_type_hints(one, globalns=names)[name]
        except (NameError, TypeError, AttributeError, SyntaxError):
            continue
