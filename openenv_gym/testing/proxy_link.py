"""One connection through the proxy: two sockets, and a stream in each direction."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Direction: TypeAlias = Literal["to_server", "to_client"]
Ending: TypeAlias = Literal["close", "reset", "half_close", "black_hole"]

_CHUNK_BYTES = 1 << 16
_CHUNKS = 16
"""The most bytes held for each direction of a connection; beyond it the sender waits."""

_TURN_S = 0.02
"""A limited rate is kept by pauses of this length, in seconds."""


@dataclass
class Rules:
    """What happens to the bytes of one direction.

    Attributes:
        delay_s: The delay of each byte, in seconds.
        bytes_per_s: The rate of each connection, None for no limit.
        is_black_hole: Whether all bytes are held.
        cut: How many bytes may still pass, and how the connection ends then; None for no cut.
        passed: The number of bytes that passed.
    """

    delay_s: float = 0.0
    bytes_per_s: float | None = None
    is_black_hole: bool = False
    cut: tuple[int, Ending] | None = None
    passed: int = 0

    def heal(self) -> None:
        """End all faults of this direction."""
        self.delay_s, self.bytes_per_s = 0.0, None
        self.is_black_hole, self.cut = False, None

    def next_piece(self, data: bytes) -> tuple[bytes, Ending | None]:
        """Return the part of ``data`` that may pass now, and how the connection then ends."""
        piece = data
        if self.bytes_per_s is not None:
            piece = piece[: max(1, int(self.bytes_per_s * _TURN_S))]
        how: Ending | None = None
        if self.cut is not None:
            left, ending = self.cut
            piece = piece[:left]
            left -= len(piece)
            self.cut = (left, ending) if left else None
            how = None if left else ending
        self.passed += len(piece)
        return piece, how


class _Ended(Exception):
    """A rule ended the connection."""


class _HalfClosed(Exception):
    """A rule ended one direction."""


class Link:
    """One connection through the proxy.

    Args:
        client: The accepted socket.
        target: The host and port of the server.
        rules: The rules of each direction, by its name.

    Attributes:
        is_silent: Whether this connection alone is a black hole.
    """

    def __init__(
        self, client: socket.socket, target: tuple[str, int], rules: Mapping[str, Rules]
    ) -> None:
        self._client, self._target, self._rules = client, target, rules
        self._server = socket.socket()
        for sock in (self._client, self._server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_silent = False
        self._how: Ending = "close"
        self._half_closed: set[Direction] = set()
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Look at the rules again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def end_by(self, how: Ending, task: asyncio.Task[None]) -> bool:
        """End the connection, which ``task`` runs. Return whether the task was still running."""
        self._how = how
        return task.cancel()

    def half_close(self, direction: Direction) -> None:
        """End one direction."""
        self._half_closed.add(direction)
        sink = self._server if direction == "to_server" else self._client
        with contextlib.suppress(OSError):  # this side is closed already
            sink.shutdown(socket.SHUT_WR)

    def close(self, how: Ending) -> None:
        """Close both sockets, by FIN or by RST."""
        for sock in (self._client, self._server):
            if how == "reset":
                # Lingering for 0 s drops what is unsent and sends an RST to the peer.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                _say_goodbye(sock)
            sock.close()

    async def run(self) -> None:
        """Connect to the server and pass on bytes until both directions have ended."""
        try:
            await self._pass_on()
        except* (_Ended, asyncio.CancelledError):
            pass  # ended as `_how` says
        except* OSError:
            self._how = "reset"  # one side broke, or no server answers: reset the other side
        finally:
            self.close(self._how)

    async def _pass_on(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._server, self._target)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._pump(self._client, self._server, "to_server"))
            both.create_task(self._pump(self._server, self._client, "to_client"))

    async def _pump(self, source: socket.socket, sink: socket.socket, direction: Direction) -> None:
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS)
        reading = asyncio.create_task(self._read(source, chunks))
        try:
            while True:
                arrived, data = await chunks.get()
                await self._wait_for_leave(arrived, self._rules[direction])
                if not data:
                    break
                await self._send(sink, data, self._rules[direction])
        except _HalfClosed:
            pass
        except OSError:
            if direction not in self._half_closed:  # else nobody would read what still comes
                raise
        finally:
            reading.cancel()
            await asyncio.wait([reading])
        if not reading.cancelled() and (broken := reading.exception()) is not None:
            raise broken
        self.half_close(direction)

    async def _read(
        self, source: socket.socket, chunks: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        loop, data = asyncio.get_running_loop(), b"?"
        while data:
            try:
                data = await loop.sock_recv(source, _CHUNK_BYTES)
            except OSError:
                await chunks.put((loop.time(), b""))
                raise
            await chunks.put((loop.time(), data))

    async def _send(self, sink: socket.socket, data: bytes, rules: Rules) -> None:
        loop = asyncio.get_running_loop()
        while data:
            piece, how = rules.next_piece(data)
            data = data[len(piece) :]
            await loop.sock_sendall(sink, piece)
            if how is not None:
                self._act(how)
            if rules.bytes_per_s is not None:
                await self._pause(len(piece) / rules.bytes_per_s)
            await self._wait_for_leave(0.0, rules)

    def _act(self, how: Ending) -> None:
        if how == "black_hole":
            self.is_silent = True
        elif how == "half_close":
            raise _HalfClosed
        else:
            self._how = how
            raise _Ended

    async def _wait_for_leave(self, arrived: float, rules: Rules) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if self.is_silent or rules.is_black_hole:
                await self._changed.wait()
                continue
            left_s = arrived + rules.delay_s - loop.time()
            if left_s <= 0:
                return
            await self._pause(left_s)

    async def _pause(self, seconds: float) -> None:
        """Wait that long, or until the rules change."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()


def _say_goodbye(sock: socket.socket) -> None:
    """End our side and read the rest: a socket that is closed with unread bytes sends an RST."""
    with contextlib.suppress(OSError):  # it is not connected, or broken already
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(_CHUNK_BYTES):
            pass
