"""What a typed OpenEnv client says of its environment: classes, their schemas, values as JSON.

The type parameters of a client tell its classes: ``EnvClient[ActT, ObsT, StateT]``, at any level
of its ancestry. Pydantic models, dataclasses and unions of them are treated alike.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import (
    PydanticUndefinedAnnotation,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import to_jsonable_python

from openenv_gym.errors import InvalidActionError, InvalidRequestError, shown
from openenv_gym.spaces.infer import BASE_FIELDS
from openenv_gym.wire.error_codes import brief

Schema = dict[str, Any]
ACTION, OBSERVATION = "ActT", "ObsT"
_REF = "'$ref'"
_MOST_REFERENCES = 64


def type_arguments(kind: type[Any]) -> dict[str, Any]:
    """Return the types that ``kind`` gives to the type variables of its ancestors, by name.

    >>> from typing import Generic
    >>> ActT, ObsT = TypeVar("ActT"), TypeVar("ObsT")
    >>> class Client(Generic[ActT, ObsT]): ...
    >>> T = TypeVar("T")
    >>> class Counting(Client[int, T], Generic[T]): ...
    >>> class Echo(Counting[str]): ...
    >>> type_arguments(Echo)["ActT"], type_arguments(Echo)["ObsT"]
    (<class 'int'>, <class 'str'>)
    """
    found = _arguments(kind)
    return {name: given for name, given in found.items() if not isinstance(given, TypeVar)}


def _arguments(kind: type[Any]) -> dict[str, Any]:
    """Return the same; a type that ``kind`` leaves open is one of its own type variables."""
    found: dict[str, Any] = {}
    for base in kind.__dict__.get("__orig_bases__", kind.__bases__):
        origin = typing.get_origin(base) or base
        if origin is typing.Generic or not isinstance(origin, type):
            continue
        variables = getattr(origin, "__parameters__", ())
        given = dict(zip(variables, typing.get_args(base), strict=False))
        own = {variable.__name__: argument for variable, argument in given.items()}
        above = {name: given.get(one, one) for name, one in _arguments(origin).items()}
        for name, argument in {**own, **above}.items():
            found.setdefault(name, argument)
    return found


def schema_of(kind: Any) -> Schema | None:
    """Return the JSON schema of a model.

    It is None for a class that fits every environment: a dict, ``Any``, OpenEnv's base classes.
    """
    try:
        schema = TypeAdapter(kind).json_schema()
    except (PydanticUserError, PydanticUndefinedAnnotation):
        return None
    says_more = {"oneOf", "anyOf", "$ref"} & schema.keys()
    return schema if says_more or schema.get("properties", {}).keys() - BASE_FIELDS else None


def merged_schema(own: Schema | None, served: Schema | None) -> Schema | None:
    """Return the schema of the client's class, narrowed by what the server says of its fields.

    A client hands out the fields of its own class. A server of ours says more of the same fields,
    such as their space. If the two disagree about the type of a field, the client's type stays.

    Args:
        own: The JSON schema of the client's class, None if it has none.
        served: The JSON schema of the server, None if it publishes none.
    """
    if own is None or served is None or "properties" not in own:
        return own if own is not None else served
    mine, theirs = own["properties"], served.get("properties", {})
    fields = {
        name: theirs[name]
        if name in theirs and _narrows(_types(theirs[name], served), _types(field, own))
        else field
        for name, field in mine.items()
    }
    # Two definitions of one name may differ. Then the client's stays, and the fields that need it.
    definitions, others = own.get("$defs", {}), served.get("$defs", {})
    if any(definitions[name] != others[name] for name in definitions.keys() & others.keys()):
        fields = {name: mine[name] if _REF in repr(one) else one for name, one in fields.items()}
    return {**own, "properties": fields, "$defs": {**others, **definitions}}


def _narrows(served: set[str], own: set[str]) -> bool:
    return not own or (bool(served) and served <= own)


def _types(schema: Schema, document: Schema) -> set[str]:
    """Return the JSON types that a field may have, an empty set if its schema does not say."""
    types: set[str] = set()
    waiting: list[Any] = [schema]
    followed: set[str] = set()
    while waiting and len(followed) <= _MOST_REFERENCES:
        one = waiting.pop()
        if not isinstance(one, dict):
            continue
        name = str(one.get("$ref", "")).removeprefix("#/$defs/")
        if name in followed:  # each definition is looked at once, whoever names it
            continue
        if name in document.get("$defs", {}):
            followed.add(name)
            one = document["$defs"][name]
        given = one.get("type", [])
        types |= {given} if isinstance(given, str) else set(map(str, given))
        waiting += [*one.get("anyOf", ()), *one.get("oneOf", ())]
    return types


def action_maker(kind: Any) -> Callable[[dict[str, Any]], Any]:
    """Return a function that makes an action of class ``kind`` from its JSON fields.

    Without a class, an action is the dict of its fields. The function raises
    ``InvalidActionError`` if the class refuses the fields.
    """
    if schema_of(kind) is None:
        return dict
    adapter = TypeAdapter(kind)
    name = getattr(kind, "__name__", str(kind))

    def make(fields: dict[str, Any]) -> Any:
        try:
            return adapter.validate_python(fields)
        except ValidationError as exc:
            raise InvalidActionError(
                f"{name} refuses the fields {shown(fields, 100)}: {brief(str(exc), 300)}"
                "; fields that are always the same go into fixed_action="
            ) from exc

    return make


def plain(value: Any) -> Any:
    """Return a model, a dataclass, an array or a dict of them as values that JSON can write.

    Raises:
        InvalidRequestError: JSON has no form for it.
    """
    try:
        return to_jsonable_python(value, fallback=_array_as_list)
    except ValueError as exc:
        raise InvalidRequestError(f"expected what JSON can say, got {shown(value)}: {exc}") from exc


def _array_as_list(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise ValueError(f"a {type(value).__name__} has no form in JSON")
