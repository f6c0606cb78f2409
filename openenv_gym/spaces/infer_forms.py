"""The space of one field, from its schema, from neighbouring fields, and from a probing reset.

Each reader stands for one convention. It returns the form and its reason, or None if the field
does not follow the convention.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeGuard

import gymnasium.spaces as gs
import numpy as np
from numpy.typing import NDArray

from openenv_gym.errors import SpaceError
from openenv_gym.spaces.budget import SpaceBudget
from openenv_gym.spaces.descriptor import Space, from_descriptor
from openenv_gym.spaces.fields import (
    MISSING,
    field_at,
    is_annotated,
    schema_at,
)
from openenv_gym.spaces.from_schema import read_schema
from openenv_gym.spaces.narrowing import is_open, narrow
from openenv_gym.spaces.pictures import has_pillow, pictured, pixels_of, reshaped
from openenv_gym.spaces.probing import Sight
from openenv_gym.spaces.schema_document import Place
from openenv_gym.spaces.schema_space import SchemaSpace, given, object_of
from openenv_gym.spaces.to_schema import Schema

PICTURES = frozenset({"screen", "image", "frame", "pixels", "screenshot", "rgb", "img"})
"""Names of fields that hold a picture: a flat list of bytes with a shape beside it, or base64."""

SHAPE = "_shape"
"""The suffix of a field that gives a shape: ``screen_shape`` is that of the flat ``screen``."""

_LOWS, _HIGHS = ("minimum", "low", "min"), ("maximum", "high", "max")


class Found(NamedTuple):
    """The form of a field, and the reason for it."""

    form: SchemaSpace
    why: str


@dataclass(frozen=True, kw_only=True)
class FormReader:
    """Reads the fields of one side.

    Attributes:
        side: ``action`` or ``observation``.
        schema: The JSON schema of the model.
        sight: Makes the probing reset, if one is needed.
        sequences: The names of fields whose length changes within an episode.
    """

    side: str
    schema: Schema
    sight: Sight
    sequences: frozenset[str] = frozenset()

    @property
    def properties(self) -> dict[str, Any]:
        """The schemas of the fields."""
        found: dict[str, Any] = self.schema.get("properties", {})
        return found

    @property
    def budget(self) -> SpaceBudget:
        """What is left to make spaces with."""
        return self.sight.budget

    def _place(self, name: str) -> Place:
        return Place(path=self.path(name), root=self.schema, budget=self.budget)

    def path(self, name: str) -> str:
        """Return the path of a field, for messages."""
        return f"$.{self.side}.{name}"

    def read(self, name: str) -> Found:
        """Return the space of a field.

        Raises:
            SpaceError: no space can hold it.
        """
        child: Any = schema_at(self.schema, name)
        if is_annotated(child):
            form = read_schema(child, self.path(name), self.schema, budget=self.budget)
            return Found(form, f"its annotation gives {form.space}")
        if not isinstance(child, dict):
            return self._by_schema(name, {} if child is None else child)
        for reader in (self._by_spec, self._by_shape, self._picture):
            found = reader(name, child)
            if found is not None:
                return found
        return self._by_schema(name, child)

    def given(self, name: str, space: Space) -> Found:
        """Return the form of a space that the caller gave for a field."""
        why = f"the space is the caller's {self.side}_space="
        child = schema_at(self.schema, name)
        if is_annotated(child):
            return Found(SchemaSpace(space=space), why)
        if isinstance(space, gs.Box) and self.side == "observation":
            is_text = isinstance(child, dict) and child.get("type") == "string"
            if space.dtype == np.uint8 and is_text:
                return Found(pictured(tuple(space.shape)), f"{why}, of a picture in base64")
            if f"{name}{SHAPE}" in self.properties:
                return Found(reshaped(space), why)
        return Found(given(space), why)

    def _by_schema(self, name: str, child: Schema) -> Found:
        place = self._place(name)
        note = ""
        is_narrow = self.side == "observation" and name not in self.sequences
        if is_narrow and is_open(child, place):
            probed = self.sight.look(place.path)
            value = MISSING if probed is None else field_at(probed.observation, name)
            if value is not MISSING:
                narrowed = narrow(child, value, place)
                note = "" if narrowed == child else ", with the lengths of the probing reset"
                child = narrowed
        form = read_schema(child, place.path, self.schema, is_open=True, budget=self.budget)
        if self.side == "observation":
            form = _as_box(form)
        return Found(form, f"its constraints give {form.space}{note}")

    def _by_spec(self, name: str, child: Schema) -> Found | None:
        """Read ``action_spec`` or ``observation_spec`` in the state, as dm_control writes them."""
        if not self._is_list_or_dict(name, child):
            return None
        probed = self.sight.look(self.path(name))
        key = f"{self.side}_spec"
        spec = None if probed is None else probed.state.get(key)
        if not isinstance(spec, dict) or not spec:
            return None
        if isinstance(spec.get(name), dict):  # a spec for each field
            spec = spec[name]
        elif len(self._open_fields()) > 1:
            return None  # one spec, and nothing says of which field it is
        if "shape" in spec:
            form = _of_spec(spec, self.budget)
            why = f"{key} in the state gives"
            return None if form is None else Found(form, f"{why} {form.space}")
        parts = {
            part: _of_spec(item, self.budget)
            for part, item in spec.items()
            if isinstance(item, dict)
        }
        forms = {part: form for part, form in parts.items() if form is not None}
        value = MISSING if probed is None else field_at(probed.observation, name)
        if self.side == "action" or not isinstance(value, dict) or value.keys() != forms.keys():
            return None
        form = object_of({part: forms[part] for part in value}, {})
        return Found(form, f"{key} in the state gives {form.space}")

    def _open_fields(self) -> list[str]:
        fields = self.properties.items()
        return [name for name, child in fields if self._is_list_or_dict(name, child)]

    def _is_list_or_dict(self, name: str, child: Schema) -> bool:
        is_known = name not in self.sequences and "." not in name
        return is_known and is_open(child, self._place(name))

    def _by_shape(self, name: str, child: Schema) -> Found | None:
        """Read a flat ``screen`` whose shape is in ``screen_shape``."""
        beside = f"{name}{SHAPE}"
        if self.side == "action" or beside not in self.properties:
            return None
        probed = self.sight.look(self.path(name))
        seen = {} if probed is None else probed.observation
        value, shape = seen.get(name), seen.get(beside)
        if not _is_shape(shape):
            return None
        pixels = pixels_of(value, tuple(shape))
        form: SchemaSpace | None
        if pixels is not None:
            form = self._pictured(name, pixels)
        else:
            form = self._reshaped(name, child, value, tuple(shape))
        why = f"{beside} at the probing reset gives"
        return None if form is None else Found(form, f"{why} {form.space}")

    def _reshaped(
        self, name: str, child: Schema, value: Any, shape: tuple[int, ...]
    ) -> SchemaSpace | None:
        if not isinstance(value, list) or len(value) != math.prod(shape):
            return None
        flat = self._by_schema(name, child).form.space
        if not isinstance(flat, gs.Box) or len(flat.shape) != 1:
            return None
        return reshaped(_box_of(name, flat, value, shape))

    def _pictured(self, name: str, pixels: NDArray[np.uint8]) -> SchemaSpace:
        self.budget.array(pixels.shape, pixels.dtype, self.path(name))
        return pictured(tuple(pixels.shape))

    def _picture(self, name: str, child: Schema) -> Found | None:
        """Read a picture in base64, whose shape the probing reset shows."""
        is_text = child.get("type") == "string" or {"type": "string"} in child.get("anyOf", ())
        if self.side == "action" or name not in PICTURES or not is_text:
            return None
        probed = self.sight.look(self.path(name))
        pixels = None if probed is None else pixels_of(probed.observation.get(name))
        if pixels is not None:
            form = self._pictured(name, pixels)
            return Found(form, f"a picture in base64 at the probing reset gives {form.space}")
        if has_pillow():
            return None
        found = self._by_schema(name, child)
        return Found(found.form, f"{found.why}; pictures need Pillow: pip install pillow")


def _as_box(form: SchemaSpace) -> SchemaSpace:
    """Return a ``Box`` of the same arrays for a ``MultiDiscrete`` that few algorithms take.

    Most know one axis and choices from zero.
    """
    space = form.space
    if not isinstance(space, gs.MultiDiscrete) or not form.is_plain:
        return form
    if len(space.shape) == 1 and not np.any(space.start):
        return form
    last = space.start + space.nvec - 1
    box = gs.Box(space.start.astype(np.int64), last.astype(np.int64), space.shape, np.int64)
    return SchemaSpace(space=box, kinds=form.kinds, size=form.size)


def _of_spec(spec: Mapping[str, Any], budget: SpaceBudget) -> SchemaSpace | None:
    """Return the form of an array from its spec: shape, dtype, and bounds if there are any."""
    shape, dtype = spec.get("shape"), str(spec.get("dtype", "float64"))
    if not isinstance(shape, list) or any(type(n) is not int or n < 0 for n in shape):
        return None
    bounds = {
        "low": _bound(spec, _LOWS, "-Infinity"),
        "high": _bound(spec, _HIGHS, "Infinity"),
    }
    try:
        told = {"type": "Box", "dtype": dtype, "shape": shape, **bounds}
        box: Any = from_descriptor(told, "$.state", budget)
    except SpaceError:
        if budget.is_exceeded:
            raise
        return None
    return reshaped(box)


def _bound(spec: Mapping[str, Any], names: tuple[str, ...], infinite: str) -> Any:
    """Return one bound for all elements, or one for each. Servers write an infinity as null."""
    value = next((spec[name] for name in names if spec.get(name) is not None), infinite)
    flat = np.array(value, object).reshape(-1).tolist()
    items = [infinite if item is None else item for item in flat]
    return items[0] if len(items) == 1 else items


def _is_shape(shape: Any) -> TypeGuard[list[int]]:
    return isinstance(shape, list) and bool(shape) and all(type(n) is int and n > 0 for n in shape)


def _box_of(name: str, flat: gs.Box, value: list[Any], shape: tuple[int, ...]) -> gs.Box:
    """Return the ``Box`` of a flat list; for a picture of bytes, a ``Box`` of uint8."""
    is_bytes = flat.dtype.kind == "i" and all(0 <= item <= 255 for item in value)
    if name in PICTURES and is_bytes:
        return gs.Box(0, 255, shape, np.uint8)
    box = gs.Box(flat.low.reshape(shape), flat.high.reshape(shape), shape, flat.dtype.type)
    box.bounded_below = flat.bounded_below.reshape(shape)
    box.bounded_above = flat.bounded_above.reshape(shape)
    return box
