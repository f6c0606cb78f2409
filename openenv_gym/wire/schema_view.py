"""An environment as a client reads it from the JSON schemas of its server."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium.spaces as gs

from openenv_gym.codecs import JsonCodec, info_from_json, json_codec, reward_from_json
from openenv_gym.codecs.json_info import REWARD
from openenv_gym.errors import InvalidRequestError, NotOpenEnvError, shown
from openenv_gym.spaces import Inference
from openenv_gym.spaces.blank import blank
from openenv_gym.spaces.descriptor import Space
from openenv_gym.spaces.fields import MISSING, field_at, paths_of
from openenv_gym.spaces.infer import BASE_FIELDS
from openenv_gym.spaces.rounding import onto_bounds
from openenv_gym.spaces.schema_space import SchemaSpace
from openenv_gym.wire.outcome import DoneMeans, end_of, reward_of


class LoadedResult(NamedTuple):
    """The contents of one observation message.

    Attributes:
        obs: The observation, a value of the observation space.
        reward: The reward, None if the server sent null; an array where the environment pays one.
        terminated: Whether the task itself ended the episode.
        truncated: Whether something else ended the episode.
        info: The info; it holds the fields that the observation space does not.
    """

    obs: Any
    reward: Any
    terminated: bool
    truncated: bool
    info: dict[str, Any]


def _actions(inference: Inference) -> Callable[[Any], Any]:
    """Return what writes an action, or a flat one, as JSON."""
    to_json, flat = json_codec(inference.action_form).to_json, inference.flat_action
    return to_json if flat is None else lambda value: to_json(flat.convert(value))


def _fields(inference: Inference) -> list[_Field]:
    """Return the fields that make up the observation, each of which is read on its own."""
    form, key = inference.observation_form, inference.observation_key
    if isinstance(key, str):
        return [_field(key, form)]
    return [_field(path, form.fields[path]) for path in paths_of(key)]


def _field(path: str, form: SchemaSpace) -> _Field:
    return _Field(path, json_codec(form), form.space, _may_be_empty(form.space))


def _may_be_empty(space: Space) -> bool:
    """Return whether a missing or null value may become an empty one. No number is made up."""
    if isinstance(space, gs.Dict):
        return all(map(_may_be_empty, space.spaces.values()))
    return isinstance(space, gs.Text | gs.Sequence)


def _with_nan(data: Any) -> Any:
    """Return ``data`` with NaN for null: other servers write NaN and infinities as null."""
    if data is None:
        return math.nan  # not the string "NaN", which a text may be
    if isinstance(data, list):
        items = [_with_nan(item) for item in data]
        is_same = all(one is other for one, other in zip(items, data, strict=True))
        return data if is_same else items
    if isinstance(data, dict):
        parts = {name: _with_nan(item) for name, item in data.items()}
        is_same = all(parts[name] is item for name, item in data.items())
        return data if is_same else parts
    return data


class _Field(NamedTuple):
    """One field of the observation, or the whole observation."""

    path: str
    codec: JsonCodec
    space: Space
    may_be_empty: bool


class SchemaView:
    """Writes actions and reads observations in the form that the schemas ask for.

    Args:
        inference: The fields and spaces of the environment.
        observation_schema: The JSON schema of the observation model.
        done_means: What a ``done`` without further flags means: ``terminated`` or ``truncated``.
    """

    def __init__(
        self,
        inference: Inference,
        observation_schema: dict[str, Any],
        *,
        done_means: DoneMeans = "terminated",
    ) -> None:
        self._inference = inference
        self._done_means = done_means
        self._action = _actions(inference)
        self._flat = inference.flat_observation
        self._paths = paths_of(inference.observation_key)
        self._fields = _fields(inference)
        whole = () if inference.observation_form.is_digest else self._paths
        self._held = BASE_FIELDS | set(whole)
        # Our own servers have this field. It says that `info` is Gymnasium's, with all its types.
        properties = observation_schema.get("properties", {})
        self._has_info = "info_types" in properties
        # Others may refuse what lies a rounding beyond a bound.
        self._onto_bounds = None if self._has_info else onto_bounds(inference.action_space)
        self._defaults = {
            name: child["default"]
            for name, child in properties.items()
            if isinstance(child, dict) and "default" in child
        }

    def dump_action(self, value: Any) -> dict[str, Any]:
        """Return the ``data`` of the step message for the action ``value``."""
        if self._onto_bounds is not None:
            value = self._onto_bounds(value)
        return self._inference.action_data(self._action(value))

    def load_result(self, data: dict[str, Any], *, is_first: bool = False) -> LoadedResult:
        """Return the contents of the ``data`` of an observation message.

        A field that the server left out gets its default in the schema, else an empty text or
        sequence. So does a null in place of a text or sequence. Only in the answer to a reset,
        zeros stand for missing numbers. ``info["missing"]`` names each such field.
        ``info["reset_done"]`` is there where the answer to a reset says that the episode is over.

        Args:
            data: The ``data`` of the message.
            is_first: Whether the message answers a reset.

        Raises:
            NotOpenEnvError: the message has no observation.
            InvalidRequestError: the observation does not have the form of its space.
        """
        observation = data.get("observation")
        if not isinstance(observation, dict):
            raise self._no_observation(observation)
        if self._has_info and len(self._fields) == 1:
            return self._own_result(observation, data)
        missing: list[str] = []
        values = {
            field.path: self._load(field, observation, missing, is_first) for field in self._fields
        }
        is_one = isinstance(self._inference.observation_key, str)
        obs = values[self._fields[0].path] if is_one else values
        if self._flat is not None:
            obs = self._flat.convert(obs)
        info = self._info(observation, data)
        if missing:
            info["missing"] = missing
        terminated, truncated = end_of(data, self._done_means)
        if is_first and (terminated or truncated):  # Gymnasium's reset has no flag for that
            info["reset_done"] = True
        return LoadedResult(obs, reward_of(data), terminated, truncated, info)

    def _own_result(self, observation: dict[str, Any], data: dict[str, Any]) -> LoadedResult:
        """Read a message of our own server, in which flags and info have a fixed place."""
        (field,) = self._fields
        if field.path not in observation:
            raise self._no_observation(observation)
        path = f"$.data.observation.{field.path}"
        obs = field.codec.from_json(observation[field.path], path)
        if self._flat is not None:
            obs = self._flat.convert(obs)
        truncated = bool(observation.get("truncated", False))
        done = bool(data.get("done", False))
        terminated = bool(observation.get("terminated", done and not truncated))
        info = self._info(observation, data)
        types = observation.get("info_types", {})
        has_type = isinstance(types, dict) and REWARD in types
        reward = reward_from_json(data.get("reward"), types) if has_type else reward_of(data)
        return LoadedResult(obs, reward, terminated, truncated, info)

    def _load(
        self, field: _Field, observation: dict[str, Any], missing: list[str], is_first: bool
    ) -> Any:
        found = field_at(observation, field.path)
        is_null = found is None and field.may_be_empty and not self._has_info
        if found is MISSING or is_null:
            found = self._defaults.get(field.path, MISSING)
            is_blank = is_first or field.may_be_empty
            if self._has_info or (found is MISSING and not is_blank):
                raise self._no_observation(observation)
            missing.append(field.path)
            if found is MISSING or (found is None and field.may_be_empty):
                return blank(field.space)
        path = f"$.data.observation.{field.path}"
        try:
            return field.codec.from_json(found, path)
        except InvalidRequestError as exc:
            if not self._has_info and (without_null := _with_nan(found)) is not found:
                with contextlib.suppress(InvalidRequestError):
                    return field.codec.from_json(without_null, path)
            if not self._inference.has_probed:
                raise
            raise InvalidRequestError(
                f"{exc}; the space has the lengths of a probing reset: where they change, pass "
                "observation_space= with a Sequence, or another observation_key="
            ) from exc

    def _no_observation(self, got: Any) -> NotOpenEnvError:
        fields = ", ".join(map(repr, self._paths))
        return NotOpenEnvError(
            f"$.data.observation: expected an object with the field {fields}, got {shown(got)}"
        )

    def _info(self, observation: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        if self._has_info:
            info = info_from_json(observation.get("info", {}), observation.get("info_types", {}))
            if not isinstance(info, dict):
                raise InvalidRequestError(
                    f"$.data.observation.info: expected an object, got {shown(info)}"
                )
            return info
        rest = {name: item for name, item in observation.items() if name not in self._held}
        metadata = data.get("metadata") or observation.get("metadata")
        more = {"metadata": metadata, "info": observation.get("info")}
        info = {**rest, **{name: item for name, item in more.items() if item}}
        legal = self._inference.legal_actions
        if legal is not None:
            path = f"$.data.observation.{legal.field}"
            info["legal_actions"] = legal.read(observation.get(legal.field), path)
        return info
