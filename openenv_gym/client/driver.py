"""Calls a client object of OpenEnv, asynchronous or not, and says its errors in ours.

The client's package is never imported: a client is known by its methods. What differs between the
generations of OpenEnv is here: ``openenv-core`` 0.3 keeps a socket whose request timed out, and
``openenv`` 0.10 replaces one that was closed without a word, in the midst of an episode. Why fields
of theirs are read is in docs/decisions/0019-client-objects.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import re
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import Future, InvalidStateError
from typing import Any

from websockets.exceptions import ConnectionClosed

from openenv_gym.address import Address, parse_address
from openenv_gym.client.event_loop import EVENT_LOOP
from openenv_gym.errors import (
    CapacityError,
    ConnectionLostError,
    EnvStartError,
    InvalidRequestError,
    OpenEnvGymError,
    ProtocolError,
    RequestTimeoutError,
    ServerError,
    TransportError,
    UnreachableError,
)
from openenv_gym.faults import Fault, fault_of_close
from openenv_gym.wire.error_codes import brief, error_for, with_way_out
from openenv_gym.wire.fault_info import fault_from_wire

SESSION_ENDING = (TransportError, ServerError, EnvStartError, ProtocolError)
"""Errors after which the session is gone, or nobody knows what its next reply would answer."""

_SERVER_ERROR = re.compile(r"Server error: (?P<message>.*) \(code: (?P<code>\w+)\)", re.DOTALL)
"""How both generations say an error that the server answered."""


def under_sync(client: Any) -> Any:
    """Return the asynchronous client under a ``.sync()`` wrapper, or the client itself."""
    return getattr(client, "async_client", client)


class ClientDriver:
    """One client object, called one request at a time; what it answers comes as a future.

    An asynchronous client runs on the one event loop of :mod:`openenv_gym.client.event_loop`, a
    blocking one in a thread for each call, so that several clients can be under way at once.

    Args:
        client: What to drive.
        closes_when_lost: Whether the client ends with this driver, because nobody else has it.

    Raises:
        InvalidRequestError: ``client`` is no client, or belongs to an event loop that runs.
    """

    def __init__(self, client: Any, *, closes_when_lost: bool = False) -> None:
        methods = ("reset", "step", "close")
        missing = [name for name in methods if not callable(getattr(client, name, None))]
        if missing:
            raise InvalidRequestError(
                "expected an OpenEnv client, which has the methods reset, step and close, got a "
                f"{type(client).__name__} without {', '.join(missing)}; a URL goes to "
                "gymnasium.make('openenv/remote-v0', base_url=...)"
            )
        self.client = client
        self._inner = under_sync(client)
        self._closes_when_lost = closes_when_lost
        self._is_closed = False
        self._needs_new_connection = False
        self._socket: Any = None  # of the session in which the episode is
        self._thread: threading.Thread | None = None  # of the last call, where these block
        self._check_loop()

    @property
    def name(self) -> str:
        """The name of the client's class."""
        return type(self._inner).__name__

    @property
    def is_async(self) -> bool:
        """Whether the methods are to be called on an event loop."""
        kind = type(self.client)
        # A client of 0.10 may be used either way, and keeps to the first.
        if getattr(self.client, "_execution_mode", None) == "sync":
            return False
        return hasattr(kind, "__aenter__") or inspect.iscoroutinefunction(kind.reset)

    @property
    def address(self) -> Address | None:
        """The server's address, None where the client does not tell, or has not started it yet."""
        ours = getattr(self._inner, "address", None)
        if isinstance(ours, Address):
            return ours
        urls = [getattr(self._inner, name, None) for name in ("base_url", "_base_url", "_ws_url")]
        return next((parse_address(url) for url in urls if url and isinstance(url, str)), None)

    def begin(self, name: str, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call the method ``name``; the future gives its result, or an error of ours."""
        return self._run(self._exchange(name, args, kwargs, self._thread))

    def connect(self) -> None:
        """Connect, and start the server where the client does so.

        Raises:
            UnreachableError: nobody answers.
        """
        self._run(self._prepare(self._thread)).result()

    def begin_session(self) -> None:
        """Forget the last session: its end is no fault of the next one."""
        self._socket = None

    def end_session(self) -> None:
        """Leave the session: the next reset begins another one, on a new connection."""
        self._needs_new_connection = True

    def give_up(self, future: Future[Any]) -> None:
        """Do not wait for a request: the session is not used again, since its reply may come."""
        future.cancel()
        self._needs_new_connection = True

    def has_hung_up(self) -> bool:
        """Whether the session of the episode is known to be gone."""
        if self._needs_new_connection:
            return True
        now = self._socket_now()
        return self._socket is not None and (now is not self._socket or _is_closed(now))

    def close(self, timeout_s: float | None = None) -> None:
        """Close the client, and what it has started; a second call does nothing.

        Args:
            timeout_s: How long to wait for it, in seconds; None as long as the client does.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self._needs_new_connection = False
        self._socket = None
        # A peer that is gone has freed the session already.
        with contextlib.suppress(OSError, TimeoutError, ConnectionClosed, OpenEnvGymError):
            self._run(_call(self.client, "close")).result(timeout_s)

    def __del__(self) -> None:
        if self.__dict__.get("_closes_when_lost") and not self._is_closed:
            self._is_closed = True
            if not sys.is_finalizing():
                self._run(_call(self.client, "close"))

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        if self.is_async:
            return EVENT_LOOP.submit(coroutine)
        future: Future[Any] = Future()
        name = "openenv-gym-client"
        self._thread = threading.Thread(
            target=_drive, args=(coroutine, future), name=name, daemon=True
        )
        self._thread.start()
        return future

    async def _exchange(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        before: threading.Thread | None,
    ) -> Any:
        # A reset after a fault that was told begins anew; one that nobody knows of is told first.
        if self.has_hung_up() and not (name == "reset" and self._needs_new_connection):
            raise self._lost(f"before {name}")
        if name == "reset":
            await self._prepare(before)
        try:
            result = await _call(self.client, name, *args, **kwargs)
        except asyncio.CancelledError:
            raise
        except Exception as exc:  # a client of others raises whatever it likes
            error = await self._translated(exc, name)
            self._needs_new_connection |= isinstance(error, SESSION_ENDING)
            raise error from exc
        if name == "reset":
            self._socket = self._socket_now()
        elif self._socket_now() is not self._socket:
            raise self._lost(f"during {name}")
        return result

    async def _prepare(self, before: threading.Thread | None) -> None:
        """Connect; anew, where what is there must not be used again.

        A call that blocks cannot be cancelled: it ends with its connection, and is waited for.
        """
        self._check_loop()
        self._is_closed = False
        try:
            if self._needs_new_connection or _is_closed(self._socket_now()):
                has_own = hasattr(type(self.client), "disconnect")
                await _call(self.client, "disconnect" if has_own else "close")
                if before is not None:
                    before.join()
                self._needs_new_connection = False
            if hasattr(self.client, "connect"):
                await _call(self.client, "connect")
        except (OSError, ConnectionClosed) as exc:
            raise UnreachableError(
                f"{self.name} cannot connect: {brief(str(exc), 300)}; is the server running, and "
                "is the address right?"
            ) from exc

    def _check_loop(self) -> None:
        """Refuse a connection that belongs to another loop, and drop that of a loop that is gone.

        Raises:
            InvalidRequestError: the other loop runs.
        """
        loop = getattr(self._socket_now(), "loop", None)
        if loop is None or (self.is_async and loop is EVENT_LOOP.loop):
            return
        if not loop.is_running():
            self._needs_new_connection = True
        elif self.is_async:
            raise InvalidRequestError(
                f"{self.name} is connected in another event loop, which its socket belongs to, and "
                "an environment that blocks that loop would wait for itself; hand over a client "
                "that is not connected yet, or the class: from_client("
                f"{self.name}, base_url=...)"
            )

    def _socket_now(self) -> Any:
        return getattr(self._inner, "_ws", None)

    def _lost(self, when: str) -> ConnectionLostError:
        self._needs_new_connection = True
        return ConnectionLostError(
            f"{self.name} lost its connection {when}, and with it the episode; call reset() to "
            "make a new one",
            fault=_closing_fault(self._socket),
        )

    async def _translated(self, exc: Exception, name: str) -> OpenEnvGymError:
        """Return what ``exc`` is in our tree."""
        if isinstance(exc, OpenEnvGymError):
            return exc
        what = f"{self.name}.{name}()"
        if isinstance(exc, TimeoutError):  # before OSError, which it is one of
            return RequestTimeoutError(
                f"no answer to {what} within the client's own timeout; its connection is not used "
                "again, and reset() makes a new one"
            )
        if isinstance(exc, ConnectionClosed) and (said := await self._last_words()):
            return said
        if isinstance(exc, (OSError, ConnectionClosed)):
            return ConnectionLostError(
                f"the connection broke during {what}: {brief(str(exc), 300)}; call reset() to make "
                "a new one",
                fault=_closing_fault(self._socket),
            )
        if found := _SERVER_ERROR.fullmatch(str(exc)):
            fault = None
            if found["code"] == CapacityError.code and name != "reset":
                # The server closes the session, with a code that says more.
                if self._socket_now() is self._socket:
                    await self._last_words()
                fault = _closing_fault(self._socket)
            return _error_of(found["code"], found["message"], fault)
        return ProtocolError(
            f"expected a result of {what}, got {type(exc).__name__}: {brief(str(exc), 300)}; is "
            "this client for the environment that is served there?"
        )

    async def _last_words(self) -> OpenEnvGymError | None:
        """The error that the server sent before it closed, which 0.3 leaves unread."""
        if not hasattr(self._inner, "_receive"):
            return None
        try:
            reply = await _call(self.client, "_receive")
        except (ConnectionClosed, TimeoutError, OSError, ValueError, AssertionError):
            return None
        data = reply.get("data") if isinstance(reply, dict) else None
        if not isinstance(data, dict) or reply.get("type") != "error":
            return None
        code, message = str(data.get("code", "UNKNOWN")), str(data.get("message", "no reason"))
        return _error_of(code, message, fault_from_wire(data.get("fault")))


def _error_of(code: str, message: str, fault: Fault | None) -> OpenEnvGymError:
    said = with_way_out(message, code, is_fault=fault is not None)
    return error_for(code, said, fault=fault)


def _closing_fault(socket: Any) -> Fault | None:
    """What a server said with the code with which it closed a WebSocket of ``websockets``."""
    received = getattr(getattr(socket, "protocol", None), "close_rcvd", None)
    return fault_of_close(getattr(received, "code", 0))


def _is_closed(socket: Any) -> bool:
    return getattr(getattr(socket, "state", None), "name", "") in ("CLOSING", "CLOSED")


async def _call(client: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    result = getattr(client, name)(*args, **kwargs)
    return await result if inspect.isawaitable(result) else result


def _drive(coroutine: Coroutine[Any, Any, Any], future: Future[Any]) -> None:
    """Run what never waits for an event loop, because the client blocks."""
    with contextlib.suppress(InvalidStateError):  # nobody waits any more
        try:
            coroutine.send(None)
            raise ProtocolError("expected a client that blocks, got an awaitable")
        except StopIteration as stop:
            future.set_result(stop.value)
        except BaseException as exc:
            future.set_exception(exc)
        finally:
            coroutine.close()
