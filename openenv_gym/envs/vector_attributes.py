"""What a vector environment asks of its sub-environments beside resets and steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
from gymnasium.vector import VectorEnv

from openenv_gym.envs.faults import kept
from openenv_gym.envs.shard_faults import ShardFaults
from openenv_gym.envs.shard_sessions import ShardSessions
from openenv_gym.envs.turn import Turn, alone
from openenv_gym.errors import TransportError, UnknownAttributeError
from openenv_gym.protocol import Rendered, Use
from openenv_gym.protocol.events import Render


class VectorAttributes(VectorEnv[Any, Any, Any]):
    """A vector environment of shards, as far as it reads, sets, calls and draws what they have."""

    _turn: Turn
    _sessions: ShardSessions
    _faults: ShardFaults
    _last_frames: dict[int, Sequence[Any]]

    def _check_idle(self, call: str) -> None:
        """Refuse ``call`` while a step is under way."""
        raise NotImplementedError

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method of each sub-environment, or read an attribute, as in Gymnasium.

        Embedded sub-environments have all but what begins with an underscore; a server has what
        it was started with (``--attributes``). What is known here is read here.

        Returns:
            What each returned: numbers, texts, numpy arrays, and dicts, lists and tuples of these.

        Raises:
            AttributeError: there is none of this name, or the server does not allow it.
            RemoteEnvError: the method raised, or returned what cannot travel.
        """
        known = self.known_attributes
        if name in known and not (args or kwargs):
            return (known[name],) * self.num_envs
        return tuple(self.use(Use(name, "call", list(args), kwargs)))

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return an attribute of each sub-environment, as :meth:`call` does."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of each sub-environment.

        Args:
            name: Its name.
            values: A list or a tuple with one for each, or one for all.

        Raises:
            InvalidRequestError: there are as many values as sub-environments not.
            AttributeError: it cannot be set from here.
        """
        if not isinstance(values, (list, tuple)):
            values = [values] * self.num_envs
        self.use(Use(name, "set", list(values)))

    @alone
    def use(self, request: Use) -> list[Any]:
        """Read, set or call something of some sub-environments, or of all.

        Args:
            request: What; its numbers are those of this vector environment.

        Returns:
            What each answers, in the order of the numbers.

        Raises:
            AttributeError: there is none of this name, or it cannot be used from here.
            InvalidRequestError: there are more or fewer values to set than sub-environments.
        """
        self._check_idle(request.how)
        if request.how == "set" and request.name in self.known_attributes:
            raise UnknownAttributeError(
                f"{request.name!r} of {self} cannot be set: it was fixed when it was made"
            )
        return self._sessions.use(request)

    @property
    def known_attributes(self) -> dict[str, Any]:
        """What all sub-environments have in common, and is known here."""
        return {
            "spec": self.spec,
            "render_mode": self.render_mode,
            "metadata": self.metadata,
            "action_space": self.single_action_space,
            "observation_space": self.single_observation_space,
        }

    @alone
    def render(self) -> tuple[Any, ...] | None:
        """Return what each sub-environment renders, None without a render mode.

        After a fault there is nobody who renders: the last picture is returned again.

        Raises:
            TransportError: a connection broke, and there was no picture, or no step yet.
        """
        self._check_idle("render")
        if self.render_mode is None:
            gym.logger.warn(f"{self}: render() without a render_mode; name one in make_vec")
            return None
        frames: list[Any] = []
        for i in range(len(self._sessions)):
            try:
                reply = self._sessions.request(i, Render())
            except TransportError as exc:
                if not self._faults.is_soft(i, exc) or i not in self._last_frames:
                    raise
                frames += map(kept, self._last_frames[i])  # the next step tells the fault
                continue
            assert isinstance(reply, Rendered)
            self._last_frames[i] = reply.frame or ()
            frames += self._last_frames[i]
        return tuple(frames)
