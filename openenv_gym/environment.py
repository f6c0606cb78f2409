"""The interface of a typed environment, call for call that of OpenEnv.

A class that derives from this one runs under OpenEnv's ``create_app``, and one that derives from
OpenEnv's runs under ours. The server calls ``reset``, ``step``, ``state``, ``get_metadata`` and
``close``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

from openenv_gym.wire.models import Action, EnvironmentMetadata, Observation, State

ActT = TypeVar("ActT", bound=Action)
ObsT = TypeVar("ObsT", bound=Observation)
StateT = TypeVar("StateT", bound=State)


class Environment(ABC, Generic[ActT, ObsT, StateT]):
    """A typed environment: actions, observations and the state are pydantic models.

    Attributes:
        SUPPORTS_CONCURRENT_SESSIONS: OpenEnv's server asks this of a class before it lets
            several sessions each have an instance. Ours gives each session an instance anyway.
        REQUIRES_SINGLE_THREAD_EXECUTOR: OpenEnv's server asks this too. Our server calls one
            instance from one thread at a time anyway.
    """

    SUPPORTS_CONCURRENT_SESSIONS: ClassVar[bool] = True
    REQUIRES_SINGLE_THREAD_EXECUTOR: ClassVar[bool] = False

    @abstractmethod
    def reset(self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any) -> ObsT:
        """Begin an episode and return its first observation."""

    @abstractmethod
    def step(self, action: ActT, timeout_s: float | None = None, **kwargs: Any) -> ObsT:
        """Act, and return the observation with ``reward`` and ``done`` set."""

    @property
    @abstractmethod
    def state(self) -> StateT:
        """What is known about the episode."""

    async def reset_async(
        self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any
    ) -> ObsT:
        """Call :meth:`reset`; OpenEnv's server calls this form."""
        return self.reset(seed=seed, episode_id=episode_id, **kwargs)

    async def step_async(self, action: ActT, timeout_s: float | None = None, **kwargs: Any) -> ObsT:
        """Call :meth:`step`; OpenEnv's server calls this form."""
        return self.step(action, timeout_s=timeout_s, **kwargs)

    def get_metadata(self) -> EnvironmentMetadata:
        """Return the description of the environment for people."""
        name = type(self).__name__
        summary = (type(self).__doc__ or f"{name} environment").strip().splitlines()[0]
        return EnvironmentMetadata(name=name, description=summary, version="1.0.0")

    def close(self) -> None:
        """Free the resources of the environment. It is called once."""
        return
