"""The embedded workers: processes that the environments of this process share.

Single environments share the first worker. The shards of a vector environment are spread over
several. A worker starts with the first environment that needs it, and ends with this process,
however that ends. A forked child starts workers of its own.

An environment is made in the process as it is now: with its variables, its import path, its folder,
and the code that it has. A worker cannot be changed to that, since libraries read variables when
they are loaded. So the workers that began together are a *cohort*. One that is behind is
replaced for new environments, and ends with the last session that it has. An environment stays in
its cohort, also when it begins anew after a fault.
"""

from __future__ import annotations

import atexit
import socket
import threading
import time
import warnings
from collections.abc import Collection, Mapping
from typing import Any

from openenv_gym.errors import ServerError
from openenv_gym.forks import in_children
from openenv_gym.launchers.import_times import ImportTimes
from openenv_gym.workers.built_env import Builder
from openenv_gym.workers.loaded import Loaded, Version
from openenv_gym.workers.output import StderrCopy
from openenv_gym.workers.process import WorkerProcess
from openenv_gym.workers.surroundings import Surroundings

_IMPORT_TIMES = ImportTimes()

_EXIT_TIMEOUT_S = 1.5
"""The time in which all workers together close their environments when this process ends."""


class Cohort:
    """The workers that began in the same surroundings, by number.

    A copy is the cohort that is current when and where the copy is made.

    Attributes:
        surroundings: What they begin in.
        workers: The workers that were started and have not been stopped.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self.workers: dict[int, WorkerProcess] = {}
        self.surroundings = surroundings
        self._loaded_once: dict[str, Version] = {}  # by workers that are gone
        _IMPORT_TIMES.watch()
        _cohorts.add(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """A process that this is sent to has surroundings of its own."""
        return _current, ()

    def is_behind(self, surroundings: Surroundings, numbers: Collection[int]) -> bool:
        """Return whether new workers would not be like these.

        Args:
            surroundings: The surroundings of this process now.
            numbers: The numbers of the workers that are wanted.
        """
        if self.surroundings != surroundings:
            return True
        wanted = [self.workers.get(number) for number in numbers]
        if any(worker is None or worker.has_ended for worker in wanted) and self._edited():
            return True
        of_each = [_versions(worker) for worker in wanted]
        names = {name for versions in of_each for name in versions}
        return any(_is_behind(name, [one.get(name) for one in of_each]) for name in names)

    def start(self, number: int) -> WorkerProcess:
        """Start a worker; warn where it loads other code than those that are or were there."""
        if edited := self._edited():
            warnings.warn(
                f"an environment begins anew in a new worker, with {', '.join(edited)} as edited "
                "since it was made; make a new environment to have one version everywhere",
                RuntimeWarning,
                stacklevel=2,
            )
        worker = self.workers[number] = WorkerProcess(
            stderr_copy=StderrCopy(), surroundings=self.surroundings, loaded=Loaded()
        )
        return worker

    def take_out(self, number: int) -> WorkerProcess:
        """Return a worker that the caller stops; another one may take its place."""
        worker = self.workers.pop(number)
        self._loaded_once.update(_versions(worker))
        return worker

    def stop_ended(self) -> None:
        """Take out the workers that have ended by themselves."""
        for number in [number for number, worker in self.workers.items() if worker.has_ended]:
            self.take_out(number).stop(timeout_s=0)

    def _edited(self) -> list[str]:
        """The modules that a new worker would load in another version than an older one."""
        of_all = [self._loaded_once, *map(_versions, self.workers.values())]
        versions = [one for versions in of_all for one in versions.items()]
        return sorted({name for name, version in versions if version.now() != version})

    def _forget(self) -> None:
        """In a forked child: the workers are the parent's."""
        self.workers = {}


def _versions(worker: WorkerProcess | None) -> Mapping[str, Version]:
    return {} if worker is None or worker.loaded is None else worker.loaded.versions()


def _is_behind(name: str, versions: list[Version | None]) -> bool:
    """Whether workers have module ``name`` in other versions than new ones would."""
    loaded = {version for version in versions if version is not None}
    edited = [now for version in loaded if (now := version.now()) != version]
    if not edited:
        return False
    if len(loaded) > 1 or None in versions:  # they would have several
        return True
    return not _IMPORT_TIMES.is_older(name, edited[0].time_s)  # else it is edited, not reloaded


class EmbeddedWorkers:
    """The shared workers of one process."""

    def __init__(self) -> None:
        self._cohort: Cohort | None = None
        self._over: set[Cohort] = set()
        self._begin_anew()
        _all.add(self)

    def _begin_anew(self) -> None:
        """At first, and in a forked child, whose cohorts have no workers yet."""
        self._lock = threading.Lock()
        self._over = set()
        self._forked: list[WorkerProcess] = []

    def current(self, count: int = 1) -> Cohort:
        """Return the cohort of new environments; a new one where the last one is behind.

        Args:
            count: How many workers are wanted.
        """
        with self._lock:
            return self._current(range(count))

    def _current(self, numbers: Collection[int]) -> Cohort:
        self._stop_ended()
        for over in list(self._over):
            over.stop_ended()
            if not over.workers:
                self._over.discard(over)
        now, last = Surroundings.now(), self._cohort
        if last is None or last.is_behind(now, numbers):
            self._cohort = Cohort(now.after(last.surroundings) if last else now)
            if last is not None:
                for worker in last.workers.values():
                    worker.retire()
                self._over.add(last)
        assert self._cohort is not None
        return self._cohort

    def connect(
        self, number: int = 0, cohort: Cohort | None = None, handed: bytes | None = None
    ) -> tuple[socket.socket, WorkerProcess]:
        """Open a session; start the worker if there is none.

        Args:
            number: The number of the worker, from 0.
            cohort: Whose worker; the current one unless given.
            handed: What the session builds, see :mod:`openenv_gym.workers.handed`.

        Returns:
            The socket of the session, and the worker.

        Raises:
            ServerError: no worker can be started.
        """
        with self._lock:
            home = cohort or self._current([number])
            worker = home.workers.get(number) or home.start(number)
            try:
                sock = worker.connect(handed)
            except ServerError:
                # It died after the last session began. Its sessions have got their errors.
                home.take_out(number).stop(timeout_s=0)
                worker = home.start(number)
                sock = worker.connect(handed)
            if self._cohort is None:
                self._cohort = home
            elif home is not self._cohort:
                self._over.add(home)
                worker.retire()
            return sock, worker

    def fork(self, builder: Builder) -> tuple[socket.socket, WorkerProcess]:
        """Fork a worker from this process for one session, with which it ends.

        Args:
            builder: Makes the environment of the session.

        Returns:
            The socket of the session, and the worker.

        Raises:
            ServerError: No worker can be forked.
        """
        with self._lock:
            self._stop_ended()
            worker = WorkerProcess(stderr_copy=StderrCopy(), builder=builder)
            self._forked.append(worker)
            sock = worker.connect()
            worker.retire()
            return sock, worker

    def _stop_ended(self) -> None:
        """Take out the forked workers whose sessions are over."""
        for worker in [each for each in self._forked if each.has_ended]:
            self._forked.remove(worker)
            worker.stop(timeout_s=0)

    def drop(self, number: int, worker: WorkerProcess) -> None:
        """End a worker that is dying; the next session starts another one.

        Args:
            number: The number of the worker, from 0.
            worker: The worker. Nothing happens if another one has taken its place.
        """
        with self._lock:
            homes = [home for home in self._homes if home.workers.get(number) is worker]
            for home in homes:
                home.take_out(number)
        if homes:
            worker.stop(timeout_s=0)

    @property
    def _homes(self) -> list[Cohort]:
        return [*self._over, *filter(None, [self._cohort])]

    @property
    def _workers(self) -> dict[int, WorkerProcess]:
        return {} if self._cohort is None else self._cohort.workers

    @property
    def pid(self) -> int | None:
        """The process id of the first worker for new environments, None if there is none."""
        return self._workers[0].pid if 0 in self._workers else None

    def stop(self) -> None:
        """End the workers; the next session starts another one."""
        with self._lock:
            workers = [home.take_out(each) for home in self._homes for each in list(home.workers)]
            workers += self._forked
            self._forked = []
        for worker in workers:
            worker.dismiss()
        end_s = time.monotonic() + _EXIT_TIMEOUT_S
        for worker in workers:
            worker.stop(max(0, end_s - time.monotonic()))


_cohorts = in_children(Cohort._forget)
_all = in_children(EmbeddedWorkers._begin_anew)

EMBEDDED = EmbeddedWorkers()
"""The embedded workers of this process."""


def _current() -> Cohort:
    return EMBEDDED.current()


atexit.register(EMBEDDED.stop)
