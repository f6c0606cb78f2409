"""What a session knows of its environment: sent once, in answer to ``open``."""

from __future__ import annotations

from typing import Any

import msgspec

from openenv_gym.errors import ProtocolError
from openenv_gym.spaces.descriptor import Descriptor, Space, from_descriptor

PROTOCOL_VERSION = 1


class Description(msgspec.Struct, kw_only=True, frozen=True, dict=True):
    """An environment as its worker describes it.

    Attributes:
        environment: What was asked for, such as ``CartPole-v1`` or ``openspiel:catch``.
        view: Which typed face the environment has: ``gymnasium``, ``openspiel`` or ``model``.
        action: Descriptor of the action space; None where only a schema is known.
        observation: Descriptor of the observation space; None where only a schema is known.
        render_modes: The modes that the environment can be opened with.
        render_mode: The one that it was opened with.
        metadata: The JSON-able part of the environment's own ``metadata``.
        state: Fields of the typed state that never change, such as ``game_name``.
        has_action_masks: Whether infos carry ``legal_actions``.
        schemas: For the ``model`` view, the JSON schemas ``action``, ``observation``, ``state``.
        kwargs: The arguments that a server was started with, as far as JSON can say them.
        about: What the environment says about itself to people.
        num_envs: How many sub-environments a batched session has; None where it has no batch.
            The spaces are those of one of them.
        batched_action: Descriptor of the batched action space, where it is another than what
            ``gymnasium.vector.utils.batch_space`` makes of the single one.
        batched_observation: Likewise of the observation space.
        autoreset_mode: Of a batched session, by the value of Gymnasium's ``AutoresetMode``.
        has_vector_form: Whether the environment has a vector entry point of its own.
        shards: Over how many sessions the sub-environments of one client are best spread, so that
            they use all cores of the server; said by servers only.
        deadlines: How many seconds an environment may take for ``start``, ``reset``, ``step`` and
            ``close`` before it is killed; said by servers only, of what they limit.
        protocol: Version of the binary protocol.
    """

    environment: str
    view: str
    action: Descriptor | None = None
    observation: Descriptor | None = None
    render_modes: list[str] = []
    render_mode: str | None = None
    metadata: dict[str, Any] = {}
    state: dict[str, Any] = {}
    has_action_masks: bool = False
    schemas: dict[str, Any] = {}
    kwargs: dict[str, Any] = {}
    about: dict[str, Any] = {}
    num_envs: int | None = None
    batched_action: Descriptor | None = None
    batched_observation: Descriptor | None = None
    autoreset_mode: str | None = None
    has_vector_form: bool = False
    shards: int = 1
    deadlines: dict[str, float] = {}
    protocol: int = PROTOCOL_VERSION

    def action_space(self) -> Space | None:
        """The action space, None where only a schema is known."""
        return None if self.action is None else from_descriptor(self.action)

    def observation_space(self) -> Space | None:
        """The observation space, None where only a schema is known."""
        return None if self.observation is None else from_descriptor(self.observation)

    def batched_action_space(self) -> Space | None:
        """The space of what a step of a batched session takes."""
        return _batched(self.batched_action, self.action_space(), self.num_envs)

    def batched_observation_space(self) -> Space | None:
        """The space of what a batched session observes."""
        return _batched(self.batched_observation, self.observation_space(), self.num_envs)

    def to_json(self) -> bytes:
        """This description as JSON."""
        return msgspec.json.encode(self)


def _batched(own: Descriptor | None, single: Space | None, num_envs: int | None) -> Space | None:
    if num_envs is None or single is None:
        return single
    if own is not None:
        return from_descriptor(own)
    from gymnasium.vector.utils import batch_space

    space: Space = batch_space(single, num_envs)
    return space


def description_from_json(payload: bytes | memoryview) -> Description:
    """Return the description in ``payload``.

    Raises:
        ProtocolError: it is malformed, or of a protocol version that is not ours.
    """
    try:
        description = msgspec.json.decode(payload, type=Description)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise ProtocolError(f"expected the description of an environment, got: {exc}") from exc
    if description.protocol != PROTOCOL_VERSION:
        raise ProtocolError(
            f"expected protocol version {PROTOCOL_VERSION}, got {description.protocol}; "
            "install the same version of openenv-gym on both sides"
        )
    return description
