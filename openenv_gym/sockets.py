"""Waiting for a peer: blocking sockets, and the moment of looking again before going to sleep.

Waking a process that sleeps takes longer than many environments take for a step. On two cores an
exchange of two small messages over a Unix socket takes about 45 us where both ends sleep, and 7 us
where both look again for a moment first (12 us and 13 us where they share a core), because
nobody has to be woken.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

from openenv_gym.errors import ConnectionLostError, RequestTimeoutError
from openenv_gym.forks import in_children

T = TypeVar("T")
Buffer: TypeAlias = bytes | memoryview

RECEIVE_BYTES = 1 << 16
"""At most so much is read at a time; larger buffers are mapped anew by the allocator."""

SPIN_S = 200e-6
"""How long to look again before going to sleep: longer than a round trip through a server."""

SOCKET_BUFFER_BYTES = 4 * 2**20
"""So much may be under way to a peer that computes; the kernel may allow less."""

_GATHERED_BYTES = 1 << 16
"""From this size on, parts are not copied together before they are sent."""

_EARLY = 7 / 8
"""Of the time to receive, what the kernel is told: with the eighth that it may be late, the end
is not passed."""

_MAX_MISSES = 6

offer_core: Callable[[], None] = getattr(os, "sched_yield", lambda: None)
"""Offers the core to whoever wants it, the peer among them; called between two looks."""


class Odds:
    """Whether looking again pays.

    After each miss twice as many of the next waits are slept through from their beginning, up to
    63 of 64, so that a slow peer costs next to nothing.
    """

    def __init__(self) -> None:
        self._misses = 0
        self._skips = 0

    def are_good(self) -> bool:
        """Return whether to look again in this wait."""
        if self._skips:
            self._skips -= 1
            return False
        return True

    def hit(self) -> None:
        """Note that something came while we looked."""
        self._misses = 0

    def miss(self) -> None:
        """Note that nothing came."""
        self._misses = min(self._misses + 1, _MAX_MISSES)
        self._skips = (1 << self._misses) - 1


class Spin:
    """Looks again for a moment, as long as that pays."""

    def __init__(self) -> None:
        self._odds = Odds()

    def wait(self, look: Callable[[], T | None]) -> T | None:
        """Return what ``look`` finds, or None where it is time to sleep."""
        if not self._odds.are_good():
            return None
        end_s = time.perf_counter() + SPIN_S
        while (found := look()) is None:
            if time.perf_counter() > end_s:
                self._odds.miss()
                return None
            offer_core()
        self._odds.hit()
        return found


def enlarge_buffers(sock: socket.socket) -> None:
    """Let a peer send a large message to its end while we do something else."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)


def send_parts(sock: socket.socket, parts: Sequence[Buffer]) -> None:
    """Send all of ``parts``, one after the other."""
    is_plain = type(sock) is socket.socket and hasattr(sock, "sendmsg")  # TLS has none
    if sum(map(len, parts)) < _GATHERED_BYTES or not is_plain:
        sock.sendall(b"".join(parts))
        return
    left = [memoryview(part) for part in parts]
    while left:
        count = sock.sendmsg(left)
        while left and count >= len(left[0]):
            count -= len(left.pop(0))
        if left:
            left[0] = left[0][count:]


class BlockingSocket:
    """A connected socket.

    The deadline is the kernel's (``SO_RCVTIMEO``, ``SO_SNDTIMEO``), set only when it changes:
    Python's own ``settimeout`` would poll before every read. The kernel keeps it by a coarse timer,
    up to an eighth late, so what is left of the time to receive is polled for. Sockets that are
    not the kernel's alone (TLS) use Python's. In a forked child the socket is closed: it is its
    parent's.

    Args:
        sock: The socket; this object owns it.
        peer: What it leads to, for messages.

    Attributes:
        looks_again: Whether to look again before going to sleep.
    """

    def __init__(self, sock: socket.socket, peer: str) -> None:
        self.sock = sock
        self.looks_again = True
        self.peer = peer
        self._timeouts_s: dict[str, float | None] = {"SO_RCVTIMEO": None, "SO_SNDTIMEO": None}
        self._is_plain = type(sock) is socket.socket and hasattr(socket, "SO_RCVTIMEO")
        self._spin = Spin()
        sock.settimeout(None)
        _open.add(self)

    def send(self, *parts: Buffer, timeout_s: float | None = None) -> None:
        """Send all of ``parts``, one after the other.

        Raises:
            RequestTimeoutError: the peer took none of it for ``timeout_s``.
            ConnectionLostError: the peer is gone.
        """
        if timeout_s != self._timeouts_s["SO_SNDTIMEO"]:
            self._set_timeout("SO_SNDTIMEO", timeout_s)
        try:
            send_parts(self.sock, parts)
        except (BlockingIOError, TimeoutError) as exc:
            raise RequestTimeoutError(
                f"{self.peer} took no request within {timeout_s:g} s; the connection was closed, "
                "because a part of the request may have been sent"
            ) from exc
        except OSError as exc:
            if self._has_unread():  # why the peer left: who receives now is told
                return
            raise ConnectionLostError(f"the connection to {self.peer} broke: {exc}") from exc

    def _has_unread(self) -> bool:
        """Whether something came from a peer that is gone."""
        try:
            flags = socket.MSG_PEEK | socket.MSG_DONTWAIT
            return self._is_plain and self.sock.recv(1, flags) != b""
        except OSError:
            return False

    def receive_until(
        self,
        take_in: Callable[[Buffer], bool],
        timeout_s: float | None,
        room: Callable[[], memoryview | None] = lambda: None,
    ) -> None:
        """Hand what comes to ``take_in`` until that returns True.

        Args:
            take_in: Told what came; returns whether it was enough.
            timeout_s: For all of it together, in seconds; None for ever.
            room: Where to receive, None for anywhere; ``take_in`` is told the part that was filled.

        Raises:
            RequestTimeoutError: it was not enough within ``timeout_s``.
            ConnectionLostError: the peer is gone.
        """
        if timeout_s is None:
            while not take_in(self.receive(None, room())):
                pass
            return
        end_s = time.monotonic() + timeout_s
        left_s = timeout_s
        try:
            while not take_in(self.receive(left_s, room())):
                left_s = end_s - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError("pings or parts came, and no whole message")
        except TimeoutError as exc:
            raise RequestTimeoutError(
                f"no answer from {self.peer} within {timeout_s:g} s; the connection was closed, "
                "because a late answer could be taken for that to another request"
            ) from exc

    def receive(self, timeout_s: float | None, room: memoryview | None = None) -> Buffer:
        """Wait for some bytes, and return them, or the part of ``room`` that they fill.

        Raises:
            RequestTimeoutError: none came within ``timeout_s``.
            ConnectionLostError: the peer is gone.
        """
        if timeout_s != self._timeouts_s["SO_RCVTIMEO"]:
            self._set_timeout("SO_RCVTIMEO", timeout_s)
        began_s = time.monotonic()
        try:
            data: Buffer | None
            if room is not None:
                data = room[: self.sock.recv_into(room)]
            else:
                looks = self.looks_again and self._is_plain
                data = self._spin.wait(self._look) if looks else None
                if data is None:
                    data = self.sock.recv(RECEIVE_BYTES)
        except (BlockingIOError, TimeoutError) as exc:
            assert timeout_s is not None  # else the kernel waits for ever
            if self._comes_until(began_s + timeout_s):
                return self.receive(timeout_s, room)
            raise RequestTimeoutError(f"no answer from {self.peer} within {timeout_s:g} s") from exc
        except OSError as exc:
            raise ConnectionLostError(f"the connection to {self.peer} broke: {exc}") from exc
        if not data:
            raise ConnectionLostError(f"{self.peer} closed the connection")
        return data

    def _comes_until(self, end_s: float) -> bool:
        """Wait for something to read where the kernel's deadline came before ``end_s``."""
        left_s = end_s - time.monotonic()
        if not self._is_plain or left_s <= 0:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(left_s * 1000))

    def fileno(self) -> int:
        """The descriptor, to wait for several sockets at once."""
        return self.sock.fileno()

    def has_hung_up(self) -> bool:
        """Whether the peer of an idle socket is known to be gone; nothing is read."""
        if not self._is_plain:
            return False
        try:
            return self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def receive_nowait(self) -> bytes:
        """Return what is there already, ``b""`` for nothing."""
        timeout_s = self.sock.gettimeout()
        self.sock.settimeout(0)
        try:
            return self.sock.recv(RECEIVE_BYTES)
        except OSError:  # nothing yet, or nothing any more: whoever waits for it is told
            return b""
        finally:
            self.sock.settimeout(timeout_s)

    def _look(self) -> bytes | None:
        try:
            return self.sock.recv(RECEIVE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None

    def close(self) -> None:
        """Close the socket, and wake a thread that waits for the peer."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def _set_timeout(self, direction: str, timeout_s: float | None) -> None:
        if not self._is_plain:
            self._timeouts_s = dict.fromkeys(self._timeouts_s, timeout_s)
            self.sock.settimeout(timeout_s)
            return
        self._timeouts_s[direction] = timeout_s
        part = _EARLY if direction == "SO_RCVTIMEO" else 1
        # Zero is the kernel's word for never.
        micros = 0 if timeout_s is None else max(1, int(timeout_s * part * 1e6))
        value = struct.pack("ll", *divmod(micros, 1_000_000))
        with contextlib.suppress(OSError):  # closed: what follows says so
            self.sock.setsockopt(socket.SOL_SOCKET, getattr(socket, direction), value)


# Two processes on one socket would read each other's replies.
_open: weakref.WeakSet[BlockingSocket] = in_children(lambda one: one.sock.close())
