"""One daemon thread that answers the pings of idle WebSockets.

Servers close a client that does not answer pings, OpenEnv's after 40 s, and a long gradient
update easily takes that. A socket in use answers pings itself, while it waits for its reply, so
the thread looks only at those that nobody has used for a while.

Three things share the sockets with the thread, and each needs care. The *caller* may begin to read
at any moment: a transport decides under a lock of its own who reads. The *collector* may close a
transport in the thread that holds our lock: so a transport never asks to be forgotten, and the
thread drops closed ones by itself. The *end of the interpreter* stops daemon threads wherever they
are, possibly with a lock in hand: goodbyes are said by an exit handler, before that.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
import time
import weakref
from typing import Protocol

from openenv_gym.errors import OpenEnvGymError
from openenv_gym.forks import in_children

PERIOD_S = 5.0
GOODBYES_S = 1.0
"""How long goodbyes may hold up the end of the process, all together but the last."""


class Idler(Protocol):
    """A transport that may be idle."""

    last_used_s: float

    @property
    def is_closed(self) -> bool:
        """Whether there is nothing to look after any more."""

    def look_after(self) -> None:
        """Answer what has come, if nobody else is reading."""

    def close(self) -> None:
        """Say goodbye."""

    def forget(self) -> None:
        """In a forked child: the connection is the parent's."""


class Keepalive:
    """Looks after idle transports, once a period; the thread starts with the first of them."""

    def __init__(self, period_s: float = PERIOD_S) -> None:
        self._period_s = period_s
        self._reset()
        _all.add(self)

    def _reset(self) -> None:
        self._idlers: weakref.WeakSet[Idler] = weakref.WeakSet()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def add(self, idler: Idler) -> None:
        """Look after ``idler`` until it is closed or collected."""
        with self._lock:
            self._idlers.add(idler)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="openenv-gym keepalive", daemon=True
                )
                self._thread.start()

    def close_all(self) -> None:
        """Say goodbye to all servers: they would keep sessions whose connection only breaks off."""
        end_s = time.monotonic() + GOODBYES_S
        for idler in self._all():
            if time.monotonic() < end_s:  # a server may take nothing
                idler.close()

    def _run(self) -> None:
        while True:
            time.sleep(self._period_s)
            self._look_after_all()

    def _look_after_all(self) -> None:
        now = time.monotonic()
        for idler in self._all():
            if idler.is_closed:
                self._forget(idler)
            elif now - idler.last_used_s >= self._period_s:
                self._look_after(idler)

    def _all(self) -> list[Idler]:
        with self._lock:
            return list(self._idlers)

    def _forget(self, idler: Idler) -> None:
        with self._lock:
            self._idlers.discard(idler)

    def _begin_anew(self) -> None:
        """In a forked child: the thread is not there, and the connections are the parent's."""
        for idler in list(self._idlers):
            idler.forget()
        self._reset()

    def _look_after(self, idler: Idler) -> None:
        # One that is lost stays here: its session may be taken up again, though not by a child.
        with contextlib.suppress(OpenEnvGymError):  # whoever uses it next is told so
            idler.look_after()


_all = in_children(Keepalive._begin_anew)

KEEPALIVE = Keepalive()
"""The keepalive of this process."""

atexit.register(KEEPALIVE.close_all)
