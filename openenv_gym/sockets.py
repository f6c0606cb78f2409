"""Blocking sockets, and how long to look again before a wait goes to sleep.

Three things make a round trip over a local socket slower than the kernel needs for it.

*Going to sleep.* To wake a process that sleeps takes longer than many environments take for a
step. On two cores an exchange of two small messages over a Unix socket takes about 45 us where both
ends sleep, and 7 us where both look again for a moment first (12 us and 13 us where they share a
core). So a wait first looks again without sleeping, and offers the core to others between two
looks. That pays only where the peer answers soon: beside a slow peer the looking takes a core for
nothing. :class:`~openenv_gym.interpreter.spin.AdaptiveSpin` finds out which kind of peer there is.

*Deadlines.* Python's ``settimeout`` makes a socket non-blocking, and polls before each read. The
kernel has a deadline of its own (``SO_RCVTIMEO``), which costs nothing where it stays the same. It
is kept by a coarse timer, up to an eighth too late. So the kernel is told seven eighths of the
time, and the rest is polled for.

*Copies.* Small parts are copied into one and sent by one call; large ones are not copied. What
belongs to a long message is received where it will stay.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from openenv_gym.errors import ConnectionLostError, RequestTimeoutError
from openenv_gym.forks import in_children
from openenv_gym.interpreter.spin import AdaptiveSpin
from openenv_gym.protocol.framing import Body

T = TypeVar("T")

RECEIVE_BYTES = 1 << 16
"""At most so much is read at a time; larger buffers are mapped anew by the allocator."""

SOCKET_BUFFER_BYTES = 4 * 2**20
"""So much may be under way to a peer that computes; the kernel may allow less."""

_GATHERED_BYTES = 1 << 16
"""From this size on, parts are not copied together before they are sent."""

_EARLY = 7 / 8
"""The part of the time to receive that the kernel is told: it may be an eighth late."""


def enlarge_buffers(sock: socket.socket) -> None:
    """Let a peer send a large message to its end while we do something else."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)


def send_parts(sock: socket.socket, parts: Sequence[Body]) -> None:
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
    """A connected socket, whose deadlines are the kernel's and set only when they change.

    Sockets that are not the kernel's alone (TLS) have Python's deadlines. In a forked child the
    socket is closed: it is its parent's.

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
        self._spin = AdaptiveSpin()
        self._look = partial(sock.recv, RECEIVE_BYTES, socket.MSG_DONTWAIT)
        sock.settimeout(None)
        _open.add(self)

    def send(self, *parts: Body, timeout_s: float | None = None) -> None:
        """Send all of ``parts``, one after the other.

        Raises:
            RequestTimeoutError: the peer took none of it for ``timeout_s``.
            ConnectionLostError: the peer is gone.
        """
        if timeout_s != self._timeouts_s["SO_SNDTIMEO"]:
            self._set_timeout("SO_SNDTIMEO", timeout_s)
        try:
            if sum(map(len, parts)) < _GATHERED_BYTES:
                self.sock.sendall(b"".join(parts))  # as send_parts() does, in line for each step
            else:
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
        take_in: Callable[[Body], T],
        timeout_s: float | None,
        room: Callable[[], memoryview | None] = lambda: None,
    ) -> T:
        """Hand what comes to ``take_in`` until that returns something true, and return it.

        Args:
            take_in: Told what came; returns what is false while that was not enough.
            timeout_s: The longest time for all of it together, in seconds; None for ever.
            room: Where to receive, None for anywhere; ``take_in`` is told the part that was filled.

        Raises:
            RequestTimeoutError: it was not enough within ``timeout_s``.
            ConnectionLostError: the peer is gone.
        """
        if timeout_s is None:
            while not (found := take_in(self.receive(None, room()))):
                pass
            return found
        end_s = time.monotonic() + timeout_s
        left_s = timeout_s
        try:
            while not (found := take_in(self.receive(left_s, room()))):
                left_s = end_s - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError("pings or parts came, and no whole message")
            return found
        except TimeoutError as exc:
            raise RequestTimeoutError(
                f"no answer from {self.peer} within {timeout_s:g} s; the connection was closed, "
                "because a late answer could be taken for that to another request"
            ) from exc

    def receive(self, timeout_s: float | None, room: memoryview | None = None) -> Body:
        """Wait for some bytes, and return them, or the part of ``room`` that they fill.

        Raises:
            RequestTimeoutError: none came within ``timeout_s``.
            ConnectionLostError: the peer is gone.
        """
        if timeout_s != self._timeouts_s["SO_RCVTIMEO"]:
            self._set_timeout("SO_RCVTIMEO", timeout_s)
        began_s = time.monotonic()
        try:
            data: Body | None
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
