"""One session over one transport: a request out, its reply back."""

from __future__ import annotations

import contextlib
import math
import select
import threading
import time
from typing import cast

from openenv_gym.client.resume import LONGEST_PAUSE_S, pauses
from openenv_gym.client.transport import Transport, Waitable
from openenv_gym.errors import (
    CapacityError,
    ConcurrentCallError,
    ConnectionLostError,
    InvalidRequestError,
    OpenEnvGymError,
    ProtocolError,
    RequestTimeoutError,
    TransportError,
)
from openenv_gym.forks import in_children
from openenv_gym.protocol import Body, ClientSession, Close, Failed, Reply, Request


def check_timeout(timeout_s: float | None) -> None:
    """Pass if ``timeout_s`` is a time to wait, in seconds, or None for ever.

    Raises:
        InvalidRequestError: it is neither.
    """
    is_number = isinstance(timeout_s, (int, float)) and not isinstance(timeout_s, bool)
    if timeout_s is not None and not (is_number and 0 < timeout_s < math.inf):
        raise InvalidRequestError(
            f"timeout_s: expected seconds above 0, or None for ever, got {timeout_s!r:.80}"
        )


def concurrent_call(name: str, user: str | None) -> ConcurrentCallError:
    """Return the error of the thread ``name``, which called while ``user`` was not ready."""
    who = repr(user) if user else "another one"  # which has just begun
    return ConcurrentCallError(
        f"thread {name!r} called while {who} waits for a reply; one environment is for one "
        "thread, which waits for each reply: make one for each"
    )


class Connection:
    """Joins the client's end of the protocol to a transport.

    After a timeout, an interrupt or a protocol error the fate of the request is unknown and its
    reply may still come: the transport is closed then, and the connection is broken for good.

    Args:
        session: The client's end of the session.
        transport: Leads to the server's end.
        timeout_s: How long to wait for a reply, in seconds; None for ever.

    Raises:
        InvalidRequestError: ``timeout_s`` is no time to wait.
    """

    def __init__(
        self, session: ClientSession, transport: Transport, timeout_s: float | None = None
    ) -> None:
        check_timeout(timeout_s)
        self._session = session
        self._transport = transport
        self._timeout_s = timeout_s
        self._let_in()
        _all.add(self)
        self._is_closing = False
        self._body = b""  # of the last request
        self.is_broken = False
        self._why = "it was closed"

    def _let_in(self) -> None:
        self._lock = threading.Lock()
        self._user: str | None = None  # the thread that has the lock

    @property
    def timeout_s(self) -> float | None:
        """How long it waits for a reply, in seconds; None for ever."""
        return self._timeout_s

    @property
    def is_under_way(self) -> bool:
        """Whether something was begun and is not finished."""
        return self._user is not None

    def request(self, request: Request) -> Reply:
        """Send ``request`` and return its reply, which is never a ``Failed``.

        Raises:
            ConcurrentCallError: another thread is waiting for a reply; nothing was sent.
            ResetNeededError: a step where there is no episode; nothing was sent.
            TransportError: the connection broke; it is of no use any more.
            OpenEnvGymError: the server refused the request, or failed.
        """
        self._claim()
        try:
            self._send(request)
            reply = self._receive()
        finally:
            self._user = None
            self._lock.release()
        return self._checked(reply)

    def begin(self, request: Request) -> None:
        """Send ``request``, whose reply :meth:`finish` returns; nothing else may come between.

        Raises:
            ConcurrentCallError: a reply is being waited for; nothing was sent.
            TransportError: the connection broke; it is of no use any more.
            OpenEnvGymError: the request is not legal now; nothing was sent.
        """
        self._claim()
        try:
            self._send(request)
        except BaseException:
            self._user = None
            self._lock.release()
            raise

    def finish(self) -> Reply:
        """Return the reply to what was begun, which is never a ``Failed``.

        Raises:
            TransportError: the connection broke; it is of no use any more.
            OpenEnvGymError: the server refused the request, or failed.
        """
        try:
            reply = self._receive()
        finally:
            self._user = None
            try:  # noqa: SIM105 - what is called before the release could be interrupted
                self._lock.release()
            except RuntimeError:
                pass  # another thread has given it up meanwhile, to close it
        return self._checked(reply)

    def give_up(self) -> None:
        """Break with a peer that owes the reply to what was begun."""
        self._why = "its answer was not waited for"
        self.abandon()
        self._release()

    def _checked(self, reply: Reply) -> Reply:
        if type(reply) is Failed:
            # Not held here: what is raised has this frame, and both would wait for the collector.
            raise self._failed(reply)
        return reply

    def _failed(self, reply: Failed) -> OpenEnvGymError:
        """The exception for ``reply``, which may be the end of the connection."""
        error = reply.to_exception()
        # The server has lost what is behind it, or never had it: one without a free session
        # may open the connection, say so, and close.
        if isinstance(error, (TransportError, CapacityError)):
            self._break(error)
        return error

    def _claim(self) -> None:
        name = threading.current_thread().name
        try:
            is_free = self._lock.acquire(blocking=False)
        except BaseException:  # an interrupt, which may come when it is acquired
            if self._user is None:
                self._release()
            raise
        if not is_free:
            raise concurrent_call(name, self._user)
        self._user = name

    def _release(self) -> None:
        self._user = None
        if self._lock.locked():
            self._lock.release()

    def _send(self, request: Request) -> None:
        if self._session.is_under_way and not self.is_broken:
            # Whose reply an interrupt has kept from being waited for.
            self._why = "the last request was interrupted"
            self.abandon()
        if self.is_broken:
            raise ConnectionLostError(
                f"the connection is broken, because {self._why}; call reset() to make a new one"
            )
        self._body = body = self._session.send(request)
        try:
            self._transport.send(body, self._timeout_s)
        except ConnectionLostError as exc:
            if not self._can_resume:
                self._break(exc)
                raise  # else who waits for the reply finds the same, and asks again
        except BaseException as exc:
            self._break(exc)
            raise

    def _receive(self) -> Reply:
        try:
            try:
                body = self._transport.receive(self._timeout_s)
            except ConnectionLostError as exc:
                body = self._ask_again(exc)
            return self._session.receive(body)
        except InvalidRequestError as exc:
            self._break(exc)
            # Where the spaces were inferred, or given, these are what has to be mended, and a new
            # session would not help; else it is a mistake of the peer.
            if self._session.is_inferred:
                raise
            raise ProtocolError(f"the reply cannot be read: {exc}") from exc
        except BaseException as exc:
            self._break(exc)
            raise

    @property
    def _can_resume(self) -> bool:
        return self._transport.can_resume and not self._is_closing

    def _ask_again(self, lost: ConnectionLostError) -> Body:
        """Take up the session on another connection, send the request once more, and wait.

        The server knows a request that it has had by its number, and does not step again.
        """
        since_s = time.monotonic()
        try:
            for pause_s in pauses():
                if not self._can_resume:
                    break
                self._resume(since_s, lost)
                taken_up_s = time.monotonic()
                try:
                    self._transport.send(self._body, self._timeout_s)
                    return self._transport.receive(self._timeout_s)
                except ConnectionLostError as exc:
                    lost = exc
                if time.monotonic() - taken_up_s > LONGEST_PAUSE_S:
                    since_s = time.monotonic()  # it held for a while: this is another loss
                time.sleep(pause_s)
            raise lost
        finally:
            del lost  # else it and this frame, and all above, would wait for the collector

    def _resume(self, since_s: float, lost: ConnectionLostError) -> None:
        try:
            self._transport.resume(since_s)
        except ConnectionLostError as exc:
            text = f"{lost}; the session could not be taken up again: {exc}"
            raise ConnectionLostError(text, fault=lost.fault) from exc

    def _break(self, exc: BaseException) -> None:
        self.is_broken = True  # first, for there may be a second interrupt
        # A goodbye may wait for the step of somebody else who shares the worker.
        if isinstance(exc, RequestTimeoutError) and not self._is_closing:
            self.kill_peer()
        self._why = f"the last request ended in {type(exc).__name__}"
        self.abandon()

    def kill_peer(self) -> None:
        """Kill the process that owes a reply, where it is a worker of this process."""
        kill = getattr(self._transport, "kill_peer", None)
        if kill is not None:
            kill()

    def abandon(self) -> None:
        """Close the transport without a word to the server."""
        self.is_broken = True
        self._transport.close()

    def sleep_at_once(self) -> None:
        """Wait for replies asleep from the beginning: others need the core."""
        cast(Waitable, self._transport).sleep_at_once()

    def fileno(self) -> int:
        """The descriptor of the socket, to wait for a reply to what was begun."""
        return cast(Waitable, self._transport).fileno()

    def has_reply(self) -> bool:
        """Whether the reply to what was begun has begun to come, or will not come."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def is_gone(self) -> bool:
        """Return whether the connection is broken, or its idle peer is known to be gone.

        A session that may be there still is taken up again first.
        """
        if self.is_broken or not cast(Waitable, self._transport).has_hung_up():
            return self.is_broken
        if self._can_resume:
            with contextlib.suppress(ConnectionLostError):
                self._transport.resume(time.monotonic())
                return False
        return True

    def close(self, timeout_s: float | None = None) -> None:
        """End the session, and the connection.

        Args:
            timeout_s: How long to wait for the goodbye at most, in seconds; the connection's own
                patience unless given.
        """
        if self.is_broken:
            return
        if timeout_s is not None and (self._timeout_s is None or timeout_s < self._timeout_s):
            self._timeout_s = timeout_s
        self._is_closing = True
        try:
            self.request(Close())
        except OpenEnvGymError:
            # The goodbye is a courtesy: a peer that is gone has freed the session already.
            return
        finally:
            self.abandon()

    def end_session(self, timeout_s: float) -> None:
        """End the session so that another one can be begun, within ``timeout_s`` seconds."""
        self.close(timeout_s)


# A thread of the parent that waits for a reply is not there.
_all = in_children(Connection._let_in)
