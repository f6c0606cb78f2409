"""What the routes share: settings, sessions, and the typed view of the environment."""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any

import msgspec

from openenv_gym.errors import CapacityError, EnvStartError, OpenEnvGymError, fault_of
from openenv_gym.faults import FaultKind
from openenv_gym.forks import in_children
from openenv_gym.protocol import Close, Open
from openenv_gym.server.backends import Backends
from openenv_gym.server.busy_poll import BusyPoll
from openenv_gym.server.canary import Canary
from openenv_gym.server.engine import Engine
from openenv_gym.server.home import Home
from openenv_gym.server.lengths import Lengths, lengths_of
from openenv_gym.server.loop_lag import LoopLag
from openenv_gym.server.sessions import Sessions
from openenv_gym.server.settings import ServerSettings
from openenv_gym.spaces.size import JsonSize, json_size
from openenv_gym.wire.description import Description
from openenv_gym.wire.error_codes import without_folders
from openenv_gym.wire.typed import TypedView, view_for

_log = logging.getLogger(__name__)

DRAIN_PERIOD_S = 0.02
TOLD_WITHIN_S = 0.5
"""How long clients have to hear that their worker was killed because the server ends."""


class Service:
    """One served environment.

    The service learns its description where sessions live, from an environment that is built once
    for that and closed again: an environment that cannot be built is known before anybody connects.

    Args:
        settings: What is served, and how.

    Attributes:
        takes_bytes: The longest message that clients may send.
        monitor: Counts what happens.
        loop_lag: Knows how late the event loop is.
        canary: Knows whether environments can be built.

    Raises:
        UnknownEnvironmentError: there is no such environment.
        EnvStartError: it cannot be built.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        _ = settings.tokens  # read before anything is built: a mistake there ends the start
        self.backends = Backends(settings)
        self.busy_poll = BusyPoll()
        self.home = Home(self._move, self._settle)
        self.sessions = Sessions(settings, self.backends, home=self.home)
        self.sessions.on_opened = self._note_open
        self.monitor = self.backends.monitor
        self.loop_lag = LoopLag()
        self.canary = Canary(self._describe)
        atexit.register(self.backends.close)
        _all.add(self)
        try:
            described = _run(self._describe())
            if not settings.expose_tracebacks:
                described = described.without_folders()
            self.takes_bytes = settings.takes_bytes(described.action_space)
            self._longest_action = _longest_action(described)
            self.description = msgspec.structs.replace(
                described,
                shards=settings.shards,
                deadlines=settings.deadlines,
                max_message_bytes=self.takes_bytes,
            )
            self.view: TypedView = view_for(self.description)
            if not self.description.seeded:
                _log.warning(
                    "the reset of %s has no parameter `seed`: the seeds of clients are not passed "
                    "on, and none of its episodes can be repeated",
                    settings.environment,
                )
        except BaseException:
            self.backends.close()
            raise

    def lengths(self, num_envs: int | None = None) -> Lengths:
        """Return what the messages of a session with so many sub-environments may be."""
        return lengths_of(self._longest_action, num_envs or 1, self.takes_bytes)

    @property
    def state_before_reset(self) -> dict[str, Any]:
        """The answer to a question for the state where there is no episode yet."""
        return {"episode_id": None, "step_count": 0, **self.description.state}

    def described_to(self, asked: dict[str, Any]) -> Description:
        """Return the description for a client that named these keyword arguments.

        It tells the client whether the environment has just these, and no others.
        """
        described = self.description
        if not asked:
            return described
        is_same = self.settings.has_arguments(asked, described.defaults, is_plain=True)
        kwargs = asked if is_same else {}
        return msgspec.structs.replace(described, kwargs=kwargs, has_other_kwargs=not is_same)

    def opened(self) -> None:
        """Note that an environment was opened."""
        self.monitor.opens["opened"] += 1
        self.canary.opened()

    def failed_to_open(self, exc: OpenEnvGymError) -> None:
        """Note that an environment was not opened, and look where that was not the client's doing.

        Args:
            exc: What the client is told.
        """
        if not _is_failure(exc):
            self.monitor.refused(exc)
            return
        self.monitor.opens["failed"] += 1
        if not self.sessions.is_draining:
            self.canary.send()

    def lost(self, exc: OpenEnvGymError, is_open: bool) -> None:
        """Note that a worker was lost, maybe while it opened an environment."""
        if not is_open:
            self.failed_to_open(exc)

    def _note_open(self, exc: OpenEnvGymError | None) -> None:
        if exc is None:
            self.opened()
        elif _is_failure(exc):  # its route counts a refusal
            self.failed_to_open(exc)

    def readiness(self) -> tuple[str, str]:
        """Return whether a session could begin, in a word, and why not, "" where one could."""
        if self.sessions.is_draining:
            return "draining", "the server is ending and begins nothing more"
        if failure := self.canary.look():
            said = failure if self.settings.expose_tracebacks else without_folders(failure)
            return "failing", f"the environment cannot be opened: {said}"
        if not self.sessions.has_room:
            return "full", f"all {self.settings.max_sessions} sessions are in use (--max-sessions)"
        return "ready", ""

    def begin(self) -> None:
        """Note that the server runs the lifespan, in the event loop of all its requests."""
        self.home.keep()
        self.backends.refill()  # a forked child has no workers yet

    def _move(self) -> None:
        """Go on in the event loop that runs now."""
        self.backends.watchdog.move()
        self.loop_lag.move()
        self.canary.forget()
        self.busy_poll.begin_anew()
        self.sessions.move()

    async def _settle(self) -> None:
        await self.sessions.settle()

    def _begin_anew(self) -> None:
        """In a forked child: all that goes on is the parent's."""
        self.home.begin_anew()
        self.backends.watchdog.forget()
        self.loop_lag.forget()
        self.canary.forget()
        self.busy_poll.begin_anew()
        self.sessions.forget()

    async def drain(self, timeout_s: float) -> None:
        """Finish what is under way, begin nothing more, and tell every client.

        Args:
            timeout_s: The seconds after which workers that still have something to do are killed.
        """
        clock = asyncio.get_running_loop().time
        end_s = clock() + timeout_s
        self.sessions.drain()
        await self.canary.stop()
        while (self.sessions.are_busy or len(self.backends.watchdog)) and clock() < end_s:
            ending = asyncio.ensure_future(self.sessions.end_idle())
            await asyncio.sleep(DRAIN_PERIOD_S)
            await asyncio.wait({ending}, timeout=max(0.0, end_s - clock()))
        why = f"the server is ending and waited {timeout_s:g} s for this request (--drain-timeout)"
        self.backends.watchdog.kill_all(FaultKind.SERVER_DRAINING, why)
        end_s = clock() + TOLD_WITHIN_S
        while (self.sessions.are_busy or len(self.backends.watchdog)) and clock() < end_s:
            await asyncio.sleep(DRAIN_PERIOD_S)

    async def close(self) -> None:
        """End all sessions and workers."""
        self.backends.watchdog.end_all_at_once()
        self.loop_lag.stop()
        await self.canary.stop()
        await self.sessions.close()
        await asyncio.to_thread(self.backends.close)
        self.home.release()

    async def _describe(self) -> Description:
        backend = await self.backends.make()
        try:
            engine = Engine(backend)
            request = self.settings.admit(Open())
            # Who starts the server is told by the error.
            request = msgspec.structs.replace(request, tracebacks="sent")
            description = await engine.open(request)
            await engine.execute(Close())
            return description
        finally:
            await backend.close()


def _is_failure(exc: OpenEnvGymError) -> bool:
    """Whether an environment could not be opened for another reason than what was asked for."""
    if isinstance(exc, CapacityError):
        return False
    return isinstance(exc, EnvStartError) or fault_of(exc) is not None


_all = in_children(Service._begin_anew)


def _longest_action(told: Description) -> JsonSize | None:
    """The longest action of a session, None where models of the environment's own say no more."""
    space = told.batched_action_space
    return None if space is None or told.has_models else json_size(space)


def _run(work: Coroutine[Any, Any, Description]) -> Description:
    """Run a coroutine to its end, also where the caller is inside a running loop."""
    future: Future[Description] = Future()

    def run() -> None:
        try:
            future.set_result(asyncio.run(work))
        except BaseException as exc:  # the caller raises it
            future.set_exception(exc)

    # A daemon: Ctrl-C ends the caller, and the interpreter must not wait for an environment that
    # hangs while it is built.
    threading.Thread(target=run, name="openenv-gym describe", daemon=True).start()
    return future.result()
