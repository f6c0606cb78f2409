"""A TCP proxy that has the faults of a network on request.

One thread runs an event loop over plain sockets. Other threads call its methods; a call returns
when its change is in effect.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from openenv_gym.address import shown_url
from openenv_gym.errors import AddressError, InvalidRequestError
from openenv_gym.testing.proxy_link import Direction, Ending, Link, Rules

Which: TypeAlias = Literal["to_server", "to_client", "both"]

MAX_CONNECTIONS = 1024
"""The most connections at a time; further ones are reset."""

_START_TIMEOUT_S = 10.0
_CALL_TIMEOUT_S = 30.0


class FaultProxy:
    """Passes connections on to a server, and fails on request.

    It listens on the loopback interface from construction to :meth:`close`, and is a context
    manager. It does not look at the bytes, so it serves HTTP and WebSocket alike. Until a fault is
    asked for, it behaves like a direct connection, and passes on closings and resets too.

    Args:
        target: The address of the server: ``http://host:port``, or ``host:port``.

    Attributes:
        port: The TCP port on which it listens.
        base_url: The URL on which it listens, ``http://127.0.0.1:port``.

    Raises:
        AddressError: the target has no host or no port.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target if "//" in target else f"//{target}")
        if parts.hostname is None or parts.port is None:
            raise AddressError(
                f"target: expected http://host:port or host:port, got {shown_url(target)!r}"
            )
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._rules: dict[str, Rules] = {"to_server": Rules(), "to_client": Rules()}
        self._is_refusing = False
        self._links: dict[asyncio.Task[None], Link] = {}
        self._accepted = 0
        ready: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._main(ready)), name="FaultProxy", daemon=True
        )
        self._thread.start()
        self._loop = ready.result(_START_TIMEOUT_S)

    @property
    def accepted(self) -> int:
        """The number of connections so far."""
        return self._accepted

    @property
    def open_connections(self) -> int:
        """The number of open connections."""
        return len(self._links)

    def passed(self, direction: Direction) -> int:
        """Return how many bytes went in that direction, over all connections."""
        return self._rules[direction].passed

    def delay(self, seconds: float, direction: Which = "both") -> None:
        """From now on, pass on every byte ``seconds`` later; 0 ends the delay."""
        _check("seconds", seconds)
        self._set(direction, delay_s=seconds)

    def limit_rate(self, bytes_per_s: float | None, direction: Which = "both") -> None:
        """From now on, pass on at most ``bytes_per_s`` of each connection; None ends the limit."""
        if bytes_per_s is not None:
            _check("bytes_per_s", bytes_per_s, above=0)
        self._set(direction, bytes_per_s=bytes_per_s)

    def black_hole(self, direction: Which = "both") -> None:
        """From now on, hold every byte and every closing, of new connections too.

        :meth:`heal` passes on what is held, as a network resends what was lost.
        """
        self._set(direction, is_black_hole=True)

    def refuse(self) -> None:
        """From now on, reset new connections."""
        self._call(lambda: setattr(self, "_is_refusing", True))

    def cut_after(self, count: int, direction: Direction, how: Ending = "close") -> None:
        """Pass on ``count`` more bytes in one direction, then end the connection of the last one.

        Bytes are counted from now, over all connections, and this happens once. With 0 it happens
        when the next byte arrives, which is not passed on.

        Args:
            count: The number of bytes, from 0.
            direction: The direction that is counted, ``to_server`` or ``to_client``.
            how: ``close`` and ``reset`` end the connection at both sides, by FIN or by RST.
                ``half_close`` ends the one direction. ``black_hole`` leaves the connection open
                and holds everything, in both directions, until :meth:`heal`.
        """
        _check("count", count)
        _check_name("direction", direction, ("to_server", "to_client"))
        _check_name("how", how, ("close", "reset", "half_close", "black_hole"))
        self._set(direction, cut=(count, how))

    def cut(self) -> None:
        """Close all connections, by FIN."""
        self._run(lambda: self._end("close"))

    def reset(self) -> None:
        """Reset all connections, by RST."""
        self._run(lambda: self._end("reset"))

    def half_close(self, direction: Direction) -> None:
        """End one direction of all connections by FIN; the other goes on."""
        _check_name("direction", direction, ("to_server", "to_client"))

        def half_close_all() -> None:
            for link in self._links.values():
                link.half_close(direction)

        self._call(half_close_all)

    def heal(self) -> None:
        """End all faults, and pass on at once what was held or delayed."""

        def heal_all() -> None:
            self._is_refusing = False
            for rules in self._rules.values():
                rules.heal()
            for link in self._links.values():
                link.is_silent = False
            self._wake()

        self._call(heal_all)

    def close(self) -> None:
        """End all connections, the listener and the thread. A second call does nothing."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_CALL_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _set(self, direction: Which, **changes: Any) -> None:
        _check_name("direction", direction, ("to_server", "to_client", "both"))
        names = ("to_server", "to_client") if direction == "both" else (direction,)

        def change() -> None:
            for name in names:
                for field, value in changes.items():
                    setattr(self._rules[name], field, value)
            self._wake()

        self._call(change)

    def _call(self, function: Callable[[], object]) -> None:
        async def call() -> None:
            function()

        self._run(call)

    def _run(self, function: Callable[[], Awaitable[None]]) -> None:
        """Run ``function`` in the loop, and wait until it has returned."""
        if not self._thread.is_alive():
            raise InvalidRequestError("the proxy is closed; make another one")

        async def run() -> None:
            await function()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(_CALL_TIMEOUT_S)

    def _wake(self) -> None:
        for link in self._links.values():
            link.wake()

    async def _main(self, ready: Future[asyncio.AbstractEventLoop]) -> None:
        self._stop = asyncio.Event()
        ready.set_result(asyncio.get_running_loop())
        stopping = asyncio.create_task(self._stop.wait())
        accepting = asyncio.create_task(self._accept())
        try:
            await asyncio.wait([stopping, accepting], return_when=asyncio.FIRST_COMPLETED)
            if accepting.done():
                accepting.result()  # raises its exception
        finally:
            accepting.cancel()
            await asyncio.wait([accepting])
            self._listener.close()
            await self._end("close")

    async def _end(self, how: Ending) -> None:
        await _finish(task for task, link in self._links.items() if link.end_by(how, task))

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(self._listener)
            self._accepted += 1
            link = Link(client, self._target, self._rules)
            if self._is_refusing or len(self._links) >= MAX_CONNECTIONS:
                link.close("reset")
                continue
            task = loop.create_task(link.run())
            self._links[task] = link
            task.add_done_callback(self._links.pop)


async def _finish(tasks: Iterable[asyncio.Task[None]]) -> None:
    pending = list(tasks)
    if pending:
        await asyncio.wait(pending)


def _check(name: str, value: float, *, above: float | None = None) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or value < 0 or (above is not None and value <= above):
        least = "a number from 0" if above is None else f"a number above {above:g}"
        raise InvalidRequestError(f"{name}: expected {least}, got {value!r}")


def _check_name(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise InvalidRequestError(f"{what}: expected one of {', '.join(known)}, got {name!r}")
