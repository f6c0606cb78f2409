"""What a typed OpenEnv client says of its environment: classes, their schemas, values as JSON.

A client is known by its type parameters, ``EnvClient[ActT, ObsT, StateT]``, wherever in its
ancestry they stand. Pydantic models, dataclasses and unions of them are all the same here.
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

from openenv_gym.errors import InvalidActionError, InvalidRequestError
from openenv_gym.spaces.infer import BASE_FIELDS
from openenv_gym.wire.error_codes import brief

Schema = dict[str, Any]
ACTION, OBSERVATION = "ActT", "ObsT"
_REF = "'$ref'"
_MAX_DEPTH = 8


def type_arguments(kind: type[Any]) -> dict[str, Any]:
    """Return what ``kind`` puts for the type variables of its generic ancestors, by name.

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
    """The same, and for what ``kind`` leaves open the type variables of its own."""
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

    None of what says no more than every environment: a dict, ``Any``, OpenEnv's base classes.
    """
    try:
        schema = TypeAdapter(kind).json_schema()
    except (PydanticUserError, PydanticUndefinedAnnotation):
        return None
    says_more = {"oneOf", "anyOf", "$ref"} & schema.keys()
    return schema if says_more or schema.get("properties", {}).keys() - BASE_FIELDS else None


def merged_schema(own: Schema | None, served: Schema | None) -> Schema | None:
    """Return the fields of the client's class, as narrow as the server says them.

    What a client hands out are the fields of its class; a server of ours says more of the same
    fields, such as their space. A field that the two say of other types stays the client's.

    Args:
        own: Of the client's class, None where it has none.
        served: Of the server, None where it does not tell.
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
    # Definitions of one name may differ: then the client's stay, with the fields that need them.
    definitions, others = own.get("$defs", {}), served.get("$defs", {})
    if any(definitions[name] != others[name] for name in definitions.keys() & others.keys()):
        fields = {name: mine[name] if _REF in repr(one) else one for name, one in fields.items()}
    return {**own, "properties": fields, "$defs": {**others, **definitions}}


def _narrows(served: set[str], own: set[str]) -> bool:
    return not own or (bool(served) and served <= own)


def _types(schema: Schema, document: Schema, depth: int = 0) -> set[str]:
    """The JSON types that a field may have, none where it does not say."""
    if depth > _MAX_DEPTH:  # a definition of itself
        return set()
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    schema = document.get("$defs", {}).get(name, schema)
    given = schema.get("type", [])
    types = {given} if isinstance(given, str) else set(given)
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        types |= _types(choice, document, depth + 1)
    return types


def action_maker(kind: Any) -> Callable[[dict[str, Any]], Any]:
    """Return what makes an action of the class ``kind`` of its JSON fields; a dict for no class.

    It raises ``InvalidActionError`` where the class refuses the fields.
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
                f"{name} refuses the fields {brief(repr(fields), 100)}: {brief(str(exc), 300)}"
                "; fields that are always the same go into fixed_action="
            ) from exc

    return make


def plain(value: Any) -> Any:
    """Return a model, a dataclass, an array or a dict of them as what JSON says.

    Raises:
        InvalidRequestError: JSON has no form for it.
    """
    try:
        return to_jsonable_python(value, fallback=_array_as_list)
    except ValueError as exc:
        raise InvalidRequestError(
            f"expected what JSON can say, got {brief(repr(value), 80)}: {exc}"
        ) from exc


def _array_as_list(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise ValueError(f"a {type(value).__name__} has no form in JSON")
