"""What a session knows of its environment. It is sent once, in answer to ``open``."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec

from openenv_gym.codecs.weight import check_json
from openenv_gym.errors import ProtocolError, SpaceError
from openenv_gym.spaces.batch import batch_bytes, batch_space
from openenv_gym.spaces.budget import SpaceBudget
from openenv_gym.spaces.descriptor import Descriptor, Space, from_descriptor
from openenv_gym.wire.error_codes import without_folders

PROTOCOL_VERSION = 1

_MOST_ENVS = 1 << 24

SCHEMA_KEY = "x-openenv-gym"
"""Under which our servers tell the description of what is served, beside what OpenEnv tells."""


class Description(msgspec.Struct, kw_only=True, frozen=True, dict=True):
    """An environment as its worker describes it.

    Attributes:
        environment: The name that was asked for, such as ``CartPole-v1`` or ``openspiel:catch``.
        view: The name of its typed view: ``gymnasium``, ``openspiel`` or ``model``.
        action: The descriptor of the action space; None if only a schema is known.
        observation: The descriptor of the observation space; None if only a schema is known.
        reward: The descriptor of the space of array rewards; None where rewards are numbers.
        render_modes: The modes with which the environment can be opened.
        render_mode: The mode with which it was opened, None for none.
        metadata: The JSON-able part of the environment's own ``metadata``.
        state: Fields of the typed state that never change, such as ``game_name``.
        has_action_masks: Whether infos carry ``legal_actions``.
        schemas: The JSON schemas ``action``, ``observation`` and ``state`` of the ``model`` view.
        kwargs: The keyword arguments that a client named when it asked for the schema, where the
            environment is served with these; a server tells no others.
        has_other_kwargs: Whether it is served with others than the client named.
        defaults: The keyword arguments with which the environment is registered, without those
            that were given and those that JSON cannot write.
        keywords: The names of the keyword arguments that its constructor takes; None where it
            takes any, or nobody knows.
        attributes: The names of its attributes and methods that :class:`Use` may name; a name with
            a dot is of a method of an attribute.
        has_all_attributes: Whether all others may be named that do not begin with an underscore.
        about: What the environment says about itself to people: name, description and so on.
        num_envs: The number of sub-environments of a batched session, None for a single
            environment. ``action`` and ``observation`` describe one sub-environment.
        batched_action: The descriptor of the batched action space, if it differs from what
            ``gymnasium.vector.utils.batch_space`` makes of the single one; else None.
        batched_observation: The descriptor of the batched observation space, if it differs in
            the same way; else None.
        autoreset_mode: The autoreset mode of a batched session, as the value of Gymnasium's
            ``AutoresetMode``.
        has_vector_form: Whether the environment has a vector form of its own; of a batched session,
            whether that is what steps its sub-environments.
        warnings: What of inferred spaces is a guess or has no bound, one sentence each.
        shards: The number of sessions over which one client best spreads its sub-environments,
            so that they use all cores. Only servers set it.
        deadlines: The seconds that an environment may take for ``start``, ``reset``, ``step`` and
            ``close`` before it is killed. Only servers set it, and only for what they limit.
        seeded: Whether a reset passes its seed on; False where the environment's own ``reset``
            has no parameter for one.
        max_message_bytes: The longest message that a client may send. Only servers set it.
        protocol: The version of the binary protocol.
    """

    environment: str
    view: str
    action: Descriptor | None = None
    observation: Descriptor | None = None
    reward: Descriptor | None = None
    render_modes: list[str] = []
    render_mode: str | None = None
    metadata: dict[str, Any] = {}
    state: dict[str, Any] = {}
    has_action_masks: bool = False
    schemas: dict[str, Any] = {}
    kwargs: dict[str, Any] = {}
    has_other_kwargs: bool = False
    defaults: dict[str, Any] = {}
    keywords: list[str] | None = None
    attributes: list[str] = []
    has_all_attributes: bool = False
    about: dict[str, Any] = {}
    num_envs: int | None = None
    batched_action: Descriptor | None = None
    batched_observation: Descriptor | None = None
    autoreset_mode: str | None = None
    has_vector_form: bool = False
    warnings: list[str] = []
    shards: int = 1
    deadlines: dict[str, float] = {}
    seeded: bool = True
    max_message_bytes: int | None = None
    protocol: int = PROTOCOL_VERSION

    @property
    def has_models(self) -> bool:
        """Whether the environment has models of its own, whose schemas say what an action is."""
        return bool(self.schemas)

    @cached_property
    def budget(self) -> SpaceBudget:
        """What is left to make spaces with; without a limit unless :meth:`within` said another."""
        return SpaceBudget(None)

    def within(self, max_space_bytes: int | None) -> Description:
        """Return this description, whose spaces are bounded together from now on.

        Args:
            max_space_bytes: What they may take, in bytes; None for no limit.
        """
        vars(self)["budget"] = SpaceBudget(max_space_bytes)
        return self

    # Each is made once: that of a large observation takes a second.

    @cached_property
    def action_space(self) -> Space | None:
        """The action space, None if only a schema is known."""
        return self._space(self.action, "$.action")

    @cached_property
    def observation_space(self) -> Space | None:
        """The observation space, None if only a schema is known."""
        return self._space(self.observation, "$.observation")

    @cached_property
    def reward_space(self) -> Space | None:
        """The space of array rewards, of one sub-environment; None where rewards are numbers."""
        return self._space(self.reward, "$.reward")

    @cached_property
    def batched_action_space(self) -> Space | None:
        """The space of the actions that a step of a batched session takes."""
        return self._batched(self.batched_action, self.action_space, "$.batched_action")

    @cached_property
    def batched_observation_space(self) -> Space | None:
        """The space of the observations of a batched session."""
        own, single = self.batched_observation, self.observation_space
        return self._batched(own, single, "$.batched_observation")

    def _space(self, descriptor: Descriptor | None, path: str) -> Space | None:
        return None if descriptor is None else from_descriptor(descriptor, path, self.budget)

    def _batched(self, own: Descriptor | None, single: Space | None, path: str) -> Space | None:
        if self.num_envs is None or single is None:
            return single
        if own is not None:
            return self._space(own, path)
        if not 0 < self.num_envs <= _MOST_ENVS:
            raise SpaceError(
                f"{path}: expected from 1 to {_MOST_ENVS} sub-environments, got {self.num_envs}"
            )
        self.budget.spend(batch_bytes(single, self.num_envs), path, f"{self.num_envs} in a batch")
        return batch_space(single, self.num_envs)

    def may_use(self, name: str) -> bool:
        """Whether :class:`Use` may name ``name``.

        >>> told = Description(environment="any", view="gymnasium", attributes=["ale.lives"])
        >>> [told.may_use(name) for name in ("ale.lives", "ale", "gravity")]
        [True, False, False]
        """
        is_private = any(part.startswith("_") for part in name.split("."))
        is_named = name in self.attributes and not name.startswith("__")
        return is_named or (self.has_all_attributes and not is_private)

    def without_folders(self) -> Description:
        """Return it without the folders of paths, which the name of an environment may have."""
        return msgspec.structs.replace(
            self,
            environment=without_folders(self.environment),
            state=_without_folders(self.state),
            about=_without_folders(self.about),
            warnings=[without_folders(one) for one in self.warnings],
        )

    def to_json(self) -> bytes:
        """This description as JSON."""
        return msgspec.json.encode(self)


def _without_folders(texts: dict[str, Any]) -> dict[str, Any]:
    return {
        key: without_folders(value) if isinstance(value, str) else value
        for key, value in texts.items()
    }


def description_from_json(payload: bytes | memoryview) -> Description:
    """Return the description in ``payload``.

    Raises:
        ProtocolError: it is malformed, would fill the memory, or has another protocol version than
            ours.
    """
    check_json(bytes(payload))
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
