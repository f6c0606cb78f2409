"""One session over one transport: a request out, its reply back.

A connection must be right in three cases in which most code is not.

*The reply never comes, or comes late.* After a timeout or an interrupt nobody knows what became
of the request, and its reply may still be on the way. The next request would then read the reply
to the last one. So whatever ends a request early breaks the connection for good: the session goes
to ``BROKEN`` and the transport is closed. One exception: a session that its server keeps for a
while is taken up again on a new connection, and the same request is sent once more under the same
number. The server knows that number, and does not act twice.

*Two threads call at once.* Whether a request is under way is the session's to know
(:attr:`ClientSession.under_way`), but two threads could both find that none is. The lock decides:
a thread takes it before it sends and gives it back when the reply is there. It is never waited
for. Who does not get it is told by an exception and has sent nothing.

*An interrupt comes at any moment.* Python raises ``KeyboardInterrupt`` when a function is entered
or when a call returns, and so even between taking the lock and noting who has it. Between two
statements without a call it raises nothing; some lines here rely on that and say so. A session
that finds a request of its own under way, while it has the lock, was interrupted before the reply
was waited for, and is broken then.
"""

from __future__ import annotations

import contextlib
import math
import select
import threading
import time

from openenv_gym.client.resume import LONGEST_PAUSE_S, pauses
from openenv_gym.client.transport import Transport
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
from openenv_gym.protocol import (
    Body,
    ClientSession,
    Close,
    Failed,
    Reply,
    Request,
    SessionState,
)
from openenv_gym.protocol.limits import request_too_long


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


def _name_of(thread_id: int | None) -> str | None:
    return next((one.name for one in threading.enumerate() if one.ident == thread_id), None)


class Connection:
    """Joins the client's end of the protocol to a transport.

    After a timeout, an interrupt or a protocol error the fate of the request is unknown and its
    reply may still come: the transport is closed then, and the connection is broken for good.

    Args:
        session: The client's end of the session.
        transport: Leads to the server's end.
        timeout_s: How long to wait for a reply, in seconds; None for ever.

    Attributes:
        timeout_s: How long it waits for a reply, in seconds; None for ever.

    Raises:
        InvalidRequestError: ``timeout_s`` is no time to wait.
    """

    def __init__(
        self, session: ClientSession, transport: Transport, timeout_s: float | None = None
    ) -> None:
        check_timeout(timeout_s)
        self.timeout_s = timeout_s
        self._session = session
        self._transport = transport
        self._body: Body = b""  # of the last request, which may have to be sent again
        self._begin_anew()
        _all.add(self)

    def _begin_anew(self) -> None:
        """At first, and in a forked child, where the thread that waited for a reply is not."""
        self._lock = threading.Lock()
        self._user: int | None = None  # the thread that has the lock, once it has noted that

    @property
    def is_broken(self) -> bool:
        """Whether the session is lost, or was closed: nothing can be asked any more."""
        return self._session.state is SessionState.BROKEN

    @property
    def is_under_way(self) -> bool:
        """Whether a request has no reply yet, which :meth:`finish` would return."""
        return self._session.under_way is not None

    def note_end(self, why: str) -> None:
        """Note what ended the episode with its reset, for the step that comes all the same.

        Args:
            why: A sentence; "" where the reset has begun an episode.
        """
        self._session.why_ended = why

    def request(self, request: Request) -> Reply:
        """Send ``request`` and return its reply, which is never a ``Failed``.

        Raises:
            ConcurrentCallError: another thread is waiting for a reply; nothing was sent.
            ResetNeededError: a step where there is no episode; nothing was sent.
            TransportError: the connection broke; it is of no use any more.
            OpenEnvGymError: the server refused the request, or failed.
        """
        self.begin(request)
        try:
            reply = self._receive()
        finally:
            self._user = None  # no call comes before the release, so nothing can interrupt it
            self._lock.release()
        return self._checked(reply) if type(reply) is Failed else reply

    def begin(self, request: Request) -> None:
        """Send ``request``, whose reply :meth:`finish` returns; nothing else may come between.

        Raises:
            ConcurrentCallError: a reply is being waited for; nothing was sent.
            TransportError: the connection broke; it is of no use any more.
            OpenEnvGymError: the request is not legal now; nothing was sent.
        """
        user = threading.get_ident()
        try:
            is_free = self._lock.acquire(blocking=False)
        except BaseException:  # an interrupt, which may come when it is acquired
            if self._user is None:
                self._release()
            raise
        if not is_free:
            raise concurrent_call(threading.current_thread().name, _name_of(self._user))
        self._user = user
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
        return self._checked(reply) if type(reply) is Failed else reply

    def give_up(self) -> None:
        """Break with a peer that owes the reply to what was begun."""
        self.abandon("its answer was not waited for")
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

    def _release(self) -> None:
        self._user = None
        if self._lock.locked():
            self._lock.release()

    def _send(self, request: Request) -> None:
        session = self._session
        if session.under_way is not None:  # though we have the lock: see the module
            self.abandon("the last request was interrupted")
        body = session.send(request)
        if len(body) > self._transport.takes_bytes:
            session.take_back()
            raise request_too_long(len(body), self._transport.takes_bytes)
        self._body = body
        try:
            self._transport.send(body, self.timeout_s)
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
                body = self._transport.receive(self.timeout_s)
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
        """Whether the session is worth taking up again; to say goodbye it is not."""
        return self._transport.can_resume and self._session.under_way is not Close

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
                    self._transport.send(self._body, self.timeout_s)
                    return self._transport.receive(self.timeout_s)
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
        # A goodbye may wait for the step of somebody else who shares the worker.
        is_goodbye = self._session.under_way is Close
        # Before anything that takes a while: there may be a second interrupt.
        self._session.fail(f"the last request ended in {type(exc).__name__}")
        if isinstance(exc, RequestTimeoutError) and not is_goodbye:
            self._transport.kill_peer()
        self._transport.close()

    @property
    def limits(self) -> tuple[int, int]:
        """The longest message that the peer takes, and the longest that is taken from it."""
        return self._transport.takes_bytes, self._transport.max_message_bytes

    def bound_replies(self, max_bytes: int) -> None:
        """Take no longer reply from now on, see :meth:`Transport.bound_replies`."""
        self._transport.bound_replies(max_bytes)

    def kill_peer(self) -> None:
        """Kill the process that owes a reply, where it is a worker of this process."""
        self._transport.kill_peer()

    def abandon(self, why: str = "it was closed") -> None:
        """Close the transport without a word to the server.

        Args:
            why: What a later request is told, as in "because ...".
        """
        self._session.fail(why)
        self._transport.close()

    def sleep_at_once(self) -> None:
        """Wait for replies asleep from the beginning: others need the core."""
        self._transport.sleep_at_once()

    def fileno(self) -> int:
        """The descriptor of the socket, to wait for a reply to what was begun."""
        return self._transport.fileno()

    def has_reply(self) -> bool:
        """Whether the reply to what was begun has begun to come, or will not come."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def is_gone(self) -> bool:
        """Return whether the connection is broken, or its idle peer is known to be gone.

        A session that may be there still is taken up again first.
        """
        if self.is_broken or not self._transport.has_hung_up():
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
                ``timeout_s`` unless given.
        """
        if self.is_broken:
            return
        if timeout_s is not None and (self.timeout_s is None or timeout_s < self.timeout_s):
            self.timeout_s = timeout_s
        try:
            self.request(Close())
        except OpenEnvGymError:
            # The goodbye is a courtesy: a peer that is gone has freed the session already.
            return
        finally:
            self.abandon()
        self._transport.see_off_peer()

    def end_session(self, timeout_s: float) -> None:
        """End the session so that another one can be begun, within ``timeout_s`` seconds."""
        self.close(timeout_s)


_all = in_children(Connection._begin_anew)
