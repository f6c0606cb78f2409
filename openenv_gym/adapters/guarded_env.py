"""A sub-environment of a batch whose exceptions are faults of its own, and not of the batch."""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import concatenate, create_empty_array

from openenv_gym.errors import EnvCrashLoopError, OpenEnvGymError, RemoteEnvError, fault_of
from openenv_gym.faults import Fault, FaultKind
from openenv_gym.protocol import Recovery
from openenv_gym.protocol.events import Tracebacks
from openenv_gym.recovery import Do, Effect, Episode, EpisodeState, Event, FaultPolicy, Restarts
from openenv_gym.spaces.rewards import wrong_flags
from openenv_gym.wire.error_codes import printable
from openenv_gym.wire.fault_info import FAULT_KEY, restart_info
from openenv_gym.workers.reports import traceback_for

_log = logging.getLogger(__name__)

_MOST_RESTARTS = 100
"""However many a client allows: in one reset, nobody waits for more."""


class GuardedEnv(gym.Wrapper[Any, Any, Any, Any]):
    """Ends the episode where the environment raises, and resets another one in its place.

    An observation that does not fit into the batch counts as raised: of a ``Box`` in any step, of
    other spaces in the last one of an episode, which may never be put into a batch. Until there was
    one step, what is raised is passed on.

    Restarts are counted here within one reset only: the client hears of each, and counts them over
    time.

    Args:
        env: The sub-environment.
        make: Makes another one.
        place: Its number among those of the session.
        recovery: What the client knows of the sub-environments of the session.
        tracebacks: What becomes of the tracebacks of what it raises.

    Attributes:
        restarts: How often it was begun anew, and with which seeds.
        last_obs: Returns a copy of what was observed last.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        make: Callable[[], gym.Env[Any, Any]],
        place: int,
        recovery: Recovery,
        tracebacks: Tracebacks = "sent",
    ) -> None:
        super().__init__(env)
        self._tracebacks = tracebacks
        self.last_obs: Callable[[], Any] = lambda: None
        policy = FaultPolicy(
            restarts=min(recovery.restarts, _MOST_RESTARTS), restarts_within_s=math.inf, backoff_s=0
        )
        number = recovery.first_env + place
        self.restarts = Restarts(policy, f"sub-environment {number}", number)
        self.restarts.incarnation = recovery.incarnations[place]
        self.restarts.base_seed = recovery.base_seeds[place]
        self._episode = Episode(policy, [self.restarts])
        if self.restarts.incarnation:  # it has been stepped, in a session that was lost
            self._episode.handle(Event.STEPPED)
        space = env.observation_space
        self._shape = space.shape if isinstance(space, gym.spaces.Box) else None
        self._make = make

    @property
    def is_lost(self) -> bool:
        """Whether the sub-environment has faulted, and the next reset makes another one."""
        return self._episode.is_lost

    @property
    def is_live(self) -> bool:
        """Whether an episode goes on, and a step of the usual form changes nothing here."""
        return self._episode.state is EpisodeState.LIVE

    def note_end(self) -> None:
        """Note that the episode has ended, in a step that was taken without this guard."""
        self._episode.handle(Event.ENDED)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step; where the environment raises, return the fault."""
        episode = self._episode
        if episode.state is not EpisodeState.LIVE:
            effect = episode.handle(Event.STEP_ASKED)
            if effect.do is Do.RAISE:
                raise episode.take_error()
        try:
            result = self.env.step(action)
            obs, _, terminated, truncated, _ = result
            try:
                is_last = bool(terminated or truncated)
            except (TypeError, ValueError) as exc:
                raise wrong_flags(terminated, truncated, self.restarts.name) from exc
            # In each step of each sub-environment, so the usual case is told at once.
            is_fit = type(obs) is np.ndarray and obs.shape == self._shape
            if not is_fit or obs.dtype.kind not in "biuf":
                self._check_fits(obs, is_last)
        except Exception as exc:  # an environment raises whatever it likes: its fault
            effect = episode.failed(_error_of(exc), 0.0)
            if effect.do is Do.RAISE:
                episode.take_error()  # which says less than what the environment raised
                raise
            told = self._told(exc, effect.infos[0])
            return self.last_obs(), 0.0, False, True, {FAULT_KEY: told}
        if is_last:
            episode.handle(Event.ENDED)
        elif episode.state is not EpisodeState.LIVE:
            episode.handle(Event.STEPPED)
        return result

    def _check_fits(self, obs: Any, is_last: bool) -> None:
        """Raise what would be raised where ``obs`` is put into a batch."""
        if self._shape is not None or is_last:
            batch: Any = create_empty_array(self.observation_space, 1)
            concatenate(self.observation_space, (obs,), batch)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset; another environment where this one has faulted.

        Raises:
            EnvCrashLoopError: It could not be reset in as many restarts as there may be.
        """
        restarts = self.restarts
        restarts.forget()
        # Nobody asked for a seed that was derived for the incarnation that has failed now.
        is_derived = bool(restarts.incarnation) and seed == restarts.derived_seed()
        effect = self._episode.handle(Event.RESET_ASKED, seeds=[None if is_derived else seed])
        if effect.do is Do.PASS:
            try:
                first = self.env.reset(seed=seed, options=options)
            except Exception as exc:  # as in a step; it is logged, and another one takes over
                effect = self._episode.failed(_error_of(exc), 0.0)
                if effect.do is Do.RAISE and not self._episode.is_lost:
                    self._episode.take_error()
                    raise
                self._report(exc)
                _log.warning("a sub-environment failed in reset; making it anew: %s", exc)
            else:
                self._episode.handle(Event.BEGUN)
                return first
        return self._begin_anew(effect, options)

    def _begin_anew(
        self, effect: Effect, options: dict[str, Any] | None
    ) -> tuple[Any, dict[str, Any]]:
        """Make and reset others until one succeeds, as often as the machine says."""
        last: Exception | None = None
        while effect.do is Do.BEGIN_ANEW:
            try:
                self._replace()
                obs, info = self.env.reset(seed=effect.seeds[0], options=options)
            except Exception as exc:  # as before; the last one is raised in the end
                last = exc
                effect = self._episode.failed(_error_of(exc), 0.0)
                if _is_refusal(exc):
                    self._episode.take_error()
                    raise
                self._report(exc)
                continue
            self._episode.handle(Event.BEGUN_ANEW)
            return obs, {
                **info,
                FAULT_KEY: restart_info(self.restarts.incarnation, effect.seeds[0]),
            }
        self._episode.take_error()  # which counts over time; here one reset is what counts
        raise EnvCrashLoopError(
            f"{self.restarts.name} failed in reset in each of {self.restarts.policy.restarts} "
            f"restarts, at last with {type(last).__name__}: {last}"
        ) from last

    def _told(self, exc: Exception, info: dict[str, Any]) -> dict[str, Any]:
        """What the client is told of a fault."""
        trace = self._report(exc)
        if self._tracebacks == "logged":
            return {**info, "remote_traceback": trace, "stderr_tail": ""}
        return info

    def _report(self, exc: Exception) -> str:
        """Have a server's log say what was raised; return what the client is told of it."""
        fault = _error_of(exc).fault
        kind = FaultKind.ENV_RAISED if fault is None else fault.kind
        return traceback_for(exc, kind, self._tracebacks, is_begun_anew=True)

    def set_wrapper_attr(self, name: str, value: Any, **keywords: Any) -> Any:
        """Set an attribute as if the guard were not there, which would keep one that is new."""
        return self.env.set_wrapper_attr(name, value, **keywords)

    def _replace(self) -> None:
        try:
            self.env.close()
        except Exception as exc:  # it is given up in any case
            _log.warning("a sub-environment that has faulted failed in close: %s", exc)
        self.env = self._make()


def _error_of(exc: Exception) -> OpenEnvGymError:
    """Return ``exc`` where it says that the caller made a mistake, else the fault that it is."""
    if isinstance(exc, OpenEnvGymError) and (_is_refusal(exc) or exc.fault is not None):
        return exc
    is_oom = isinstance(exc, MemoryError)
    fault = Fault(
        kind=FaultKind.OOM if is_oom else FaultKind.ENV_RAISED,
        action_applied=None if is_oom else True,
        remote_traceback=printable("".join(traceback.format_exception(exc))),
    )
    return RemoteEnvError(str(exc), fault=fault)


def _is_refusal(exc: Exception) -> bool:
    """Whether ``exc`` says that the caller made a mistake."""
    return isinstance(exc, OpenEnvGymError) and fault_of(exc) is None
