"""What a session knows of its environment. It is sent once, in answer to ``open``."""

from __future__ import annotations

from typing import Any

import msgspec

from openenv_gym.errors import ProtocolError
from openenv_gym.spaces.descriptor import Descriptor, Space, from_descriptor

PROTOCOL_VERSION = 1


class Description(msgspec.Struct, kw_only=True, frozen=True, dict=True):
    """An environment as its worker describes it.

    Attributes:
        environment: The name that was asked for, such as ``CartPole-v1`` or ``openspiel:catch``.
        view: The name of its typed view: ``gymnasium``, ``openspiel`` or ``model``.
        action: The descriptor of the action space; None if only a schema is known.
        observation: The descriptor of the observation space; None if only a schema is known.
        render_modes: The modes with which the environment can be opened.
        render_mode: The mode with which it was opened, None for none.
        metadata: The JSON-able part of the environment's own ``metadata``.
        state: Fields of the typed state that never change, such as ``game_name``.
        has_action_masks: Whether infos carry ``legal_actions``.
        schemas: The JSON schemas ``action``, ``observation`` and ``state`` of the ``model`` view.
        kwargs: The keyword arguments of the environment that a server was started with, without
            those that JSON cannot write.
        about: What the environment says about itself to people: name, description and so on.
        num_envs: The number of sub-environments of a batched session, None for a single
            environment. ``action`` and ``observation`` describe one sub-environment.
        batched_action: The descriptor of the batched action space, if it differs from what
            ``gymnasium.vector.utils.batch_space`` makes of the single one; else None.
        batched_observation: The descriptor of the batched observation space, if it differs in
            the same way; else None.
        autoreset_mode: The autoreset mode of a batched session, as the value of Gymnasium's
            ``AutoresetMode``.
        has_vector_form: Whether the environment has a vector entry point of its own.
        shards: The number of sessions over which one client best spreads its sub-environments,
            so that they use all cores. Only servers set it.
        deadlines: The seconds that an environment may take for ``start``, ``reset``, ``step`` and
            ``close`` before it is killed. Only servers set it, and only for what they limit.
        seeded: Whether a reset passes its seed on; False where the environment's own ``reset``
            has no parameter for one.
        protocol: The version of the binary protocol.
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
    seeded: bool = True
    protocol: int = PROTOCOL_VERSION

    def action_space(self) -> Space | None:
        """The action space, None if only a schema is known."""
        return None if self.action is None else from_descriptor(self.action)

    def observation_space(self) -> Space | None:
        """The observation space, None if only a schema is known."""
        return None if self.observation is None else from_descriptor(self.observation)

    def batched_action_space(self) -> Space | None:
        """The space of the actions that a step of a batched session takes."""
        return _batched(self.batched_action, self.action_space(), self.num_envs)

    def batched_observation_space(self) -> Space | None:
        """The space of the observations of a batched session."""
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
        ProtocolError: it is malformed, or has another protocol version than ours.
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
