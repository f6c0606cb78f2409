"""A space for a schema that is not ours, and the mapping between their values.

A schema may say ``"left"`` where the space says ``0``. The space stays a plain Gymnasium one;
the mapping stands beside it, in a :class:`SchemaSpace`. It maps JSON to JSON: between what the
schema says and what the codec of the space reads and writes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import gymnasium.spaces as gs

from openenv_gym.errors import InvalidRequestError, shown
from openenv_gym.spaces.descriptor import Space

ToJson: TypeAlias = Callable[[Any], Any]
FromJson: TypeAlias = Callable[[Any, str], Any]

_KINDS: dict[type[Any], str] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
ANY_KIND = frozenset(_KINDS.values())


def _as_it_is(data: Any) -> Any:
    return data


def _read_as_it_is(data: Any, path: str) -> Any:
    return data


@dataclass(frozen=True, kw_only=True)
class SchemaSpace:
    """A space and the mapping between its JSON and that of a schema.

    Attributes:
        space: The space, a plain one of Gymnasium.
        to_json: ``to_json(data)`` maps the JSON that the codec of the space wrote to the JSON
            that the schema asks for.
        from_json: ``from_json(data, path)`` maps back. It raises ``InvalidRequestError``, which
            names the path, if ``data`` does not match the schema.
        kinds: The kinds of JSON that a value may be: ``"null"``, ``"number"`` and so on.
        members: All JSON values in the order of a ``Discrete``, None if there are many.
        fields: The forms of an object's fields, by name.
        size: The number of leaves of the space.
        read: ``read(data, path)`` returns the value itself. It replaces the codec of the space for
            JSON of another form, such as a picture in a text.
        is_digest: Whether the values hold only a part of the JSON, so that infos have it whole.
    """

    space: Space
    to_json: ToJson = _as_it_is
    from_json: FromJson = _read_as_it_is
    kinds: frozenset[str] = ANY_KIND
    members: Sequence[Any] | None = None
    fields: Mapping[str, SchemaSpace] = field(default_factory=dict)
    size: int = 1
    read: FromJson | None = None
    is_digest: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the schema and the codec of the space write the same JSON."""
        return self.read is None and self.to_json is _as_it_is and self.from_json is _read_as_it_is


def kind_of(data: Any) -> str:
    """Return which kind of JSON ``data`` is; integers are numbers, booleans are not."""
    return _KINDS.get(type(data), type(data).__name__)


def json_key(data: Any) -> Hashable:
    """Return a key that is equal only for equal JSON: 1 equals 1.0, but not true.

    >>> json_key([1]) == json_key([1.0]), json_key(1) == json_key(True)
    (True, False)
    """
    if isinstance(data, list):
        return "array", tuple(map(json_key, data))
    if isinstance(data, dict):
        return "object", frozenset((name, json_key(item)) for name, item in data.items())
    return kind_of(data), data


def wrong(path: str, expected: str, got: object) -> InvalidRequestError:
    """Return the error for a value that does not match its schema."""
    return InvalidRequestError(f"{path}: expected {expected}, got {shown(got)}")


def choice(members: Sequence[Any]) -> SchemaSpace:
    """Return ``Discrete(n)`` whose n-th value stands for the n-th of ``members``.

    >>> choice(["left", "right"]).to_json(1)
    'right'
    """
    numbers = {json_key(member): number for number, member in enumerate(members)}
    shown = repr(list(members[:20])) + (" and more" if len(members) > 20 else "")

    def to_json(number: int) -> Any:
        if not 0 <= number < len(members):
            raise ValueError(f"expected a number below {len(members)}, got {number}")
        return members[number]

    def from_json(data: Any, path: str) -> int:
        number = numbers.get(json_key(data))
        if number is None:
            raise wrong(path, f"one of {shown}", data)
        return number

    return SchemaSpace(
        space=gs.Discrete(len(members)),
        to_json=to_json,
        from_json=from_json,
        kinds=frozenset(map(kind_of, members)),
        members=members,
    )


def multiples(members: range) -> SchemaSpace:
    """Return ``Discrete(n)`` for equally spaced integers, as many as there may be."""

    def to_json(number: Any) -> int:
        return members[int(number)]  # the codec writes large integers as text

    def from_json(data: Any, path: str) -> int:
        if type(data) is not int or data not in members:
            raise wrong(path, f"a multiple of {members.step} in {members}", data)
        return members.index(data)

    return SchemaSpace(
        space=gs.Discrete(len(members)),
        to_json=to_json,
        from_json=from_json,
        kinds=frozenset({"number"}),
        members=members,
    )


def array(space: Space, child: SchemaSpace, size: int) -> SchemaSpace:
    """Return ``space`` for arrays whose items are those of ``child``."""
    kinds = frozenset({"array"})
    if child.is_plain:
        return SchemaSpace(space=space, kinds=kinds, size=size)

    def to_json(items: list[Any]) -> list[Any]:
        return [child.to_json(item) for item in items]

    def from_json(data: Any, path: str) -> list[Any]:
        if type(data) is not list:
            raise wrong(path, "an array", data)
        return [child.from_json(item, f"{path}[{i}]") for i, item in enumerate(data)]

    return SchemaSpace(space=space, to_json=to_json, from_json=from_json, kinds=kinds, size=size)


def tuple_of(children: Sequence[SchemaSpace]) -> SchemaSpace:
    """Return the ``Tuple`` of ``children``."""

    def to_json(items: list[Any]) -> list[Any]:
        return [child.to_json(item) for child, item in zip(children, items, strict=True)]

    def from_json(data: Any, path: str) -> list[Any]:
        if type(data) is not list or len(data) != len(children):
            raise wrong(path, f"an array of {len(children)} items", data)
        return [child.from_json(data[i], f"{path}[{i}]") for i, child in enumerate(children)]

    return SchemaSpace(
        space=gs.Tuple([child.space for child in children]),
        to_json=to_json,
        from_json=from_json,
        kinds=frozenset({"array"}),
        size=sum(child.size for child in children),
    )


def object_of(fields: Mapping[str, SchemaSpace], defaults: Mapping[str, Any]) -> SchemaSpace:
    """Return the ``Dict`` of ``fields`` in their order; a missing one has its default."""

    def to_json(data: dict[str, Any]) -> dict[str, Any]:
        return {name: fields[name].to_json(item) for name, item in data.items()}

    def from_json(data: Any, path: str) -> dict[str, Any]:
        if type(data) is not dict:
            raise wrong(path, "an object", data)
        full = {**defaults, **data}
        if full.keys() != fields.keys():
            raise wrong(path, f"an object with the keys {', '.join(fields)}", data)
        return {name: child.from_json(full[name], f"{path}.{name}") for name, child in items}

    items = tuple(fields.items())
    return SchemaSpace(
        # `gs.Dict` sorts the keys of a plain dict, but not those of a sequence of pairs.
        space=gs.Dict([(name, child.space) for name, child in items]),
        to_json=to_json,
        from_json=from_json,
        kinds=frozenset({"object"}),
        fields=fields,
        size=sum(child.size for child in fields.values()),
    )


def one_of(branches: Sequence[SchemaSpace], pick: Callable[[Any], int | None]) -> SchemaSpace:
    """Return the ``OneOf`` of ``branches``; ``pick(data)`` says which one ``data`` is of."""

    def to_json(data: list[Any]) -> Any:
        index, item = data
        return branches[index].to_json(item)

    def from_json(data: Any, path: str) -> list[Any]:
        index = pick(data)
        if index is None:
            raise wrong(path, f"a value of one of the {len(branches)} branches of a union", data)
        return [index, branches[index].from_json(data, path)]

    return SchemaSpace(
        space=gs.OneOf([branch.space for branch in branches]),
        to_json=to_json,
        from_json=from_json,
        kinds=frozenset().union(*(branch.kinds for branch in branches)),
        size=sum(branch.size for branch in branches),
    )


def given(space: Space) -> SchemaSpace:
    """Return the form of a space that the caller gave for a field.

    Values are written as the space says; booleans are read as the integers 0 and 1.
    """
    return SchemaSpace(space=space, from_json=_without_booleans)


def _without_booleans(data: Any, path: str) -> Any:
    if isinstance(data, dict):
        return {name: _without_booleans(item, path) for name, item in data.items()}
    if isinstance(data, list):
        return [_without_booleans(item, path) for item in data]
    return int(data) if type(data) is bool else data
