"""Answers plain steps of a session over its socket, which the worker has lent.

A step asked of the worker, and by the worker of this process, wakes two processes in turn. So the
worker lends the socket of a session with one environment while an episode goes on, and waits. This
process answers what it understands: a step with an action of a simple space, as far as the step is
plain and its info simple. It gives the socket back as soon as anything else comes, which it has
only looked at: the worker reads it, and all is as if the socket had never been lent. A step that
was taken and is not plain is told with the socket, and the worker does not ask for it again.

A request leaves the socket when it has been answered. Where this process ends in a step, the worker
finds the request, and says what has happened. The bytes are those of
:mod:`openenv_gym.protocol.binary_messages`.
"""

from __future__ import annotations

import array
import contextlib
import os
import socket
import struct
from typing import Any, Callable, Optional, Sequence, Tuple

import numpy as np

from .infos import packed_info
from .plain import PlainSteps
from .spin import AdaptiveSpin

STEP, RESULT = 3, 130
"""The kinds of a request for a step, and of its reply."""

COMPACT, TERMINATED, TRUNCATED, HAS_REWARD, HAS_INFO = 1, 2, 4, 8, 16
"""The flags of these."""

_REQUEST = struct.Struct("<IBBHI")
_RESULT = struct.Struct("<IBBHId")
_INTEGER = struct.Struct("<bq")
_LENGTH_BYTES = 4

MAX_ACTION_BYTES = 4096
"""Requests with larger actions may come in parts; these are left to the worker."""

ActionForm = Tuple[str, Optional[Sequence[int]], int, int]
"""The dtype of actions as numpy writes it, their shape, or None for integers, of which the least
and the one behind the greatest follow."""

Given = Tuple[int, bool, Optional[Tuple[bool, Any]]]
"""How many steps were answered, whether the last one has ended the episode, and what came of one
that was taken and not answered: whether it is well, and what it returned or raised."""


class Actions:
    """Reads the requests for steps with actions of one form.

    Args:
        form: The form.
    """

    def __init__(self, form: ActionForm) -> None:
        name, shape, self._low, self._end = form
        self._dtype = np.dtype(name)
        self._shape = None if shape is None else tuple(shape)
        self._count = 1
        for length in self._shape or ():
            self._count *= length
        nbytes = _INTEGER.size if shape is None else self._count * self._dtype.itemsize
        self.request_bytes = _REQUEST.size + nbytes

    def read(self, data: bytes) -> Any:
        """Return the number of a request and its action; None where it is for the worker.

        Args:
            data: The beginning of what has come, with the length of the request before it.
        """
        if len(data) < self.request_bytes:
            return None
        length, kind, flags, _, number = _REQUEST.unpack_from(data)
        if (length, kind, flags) != (self.request_bytes - _LENGTH_BYTES, STEP, COMPACT):
            return None
        if self._shape is None:
            is_scalar, value = _INTEGER.unpack_from(data, _REQUEST.size)
            if not self._low <= value < self._end:
                return None
            return number, self._dtype.type(value) if is_scalar else value
        values = np.frombuffer(data, self._dtype, self._count, _REQUEST.size)
        if np.isnan(values).any():
            return None
        return number, values.reshape(self._shape).copy()


class LentSocket:
    """The socket of a session, while it is here.

    Args:
        sock: The socket.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._spin = AdaptiveSpin()
        self._bytes = 0
        if hasattr(os, "register_at_fork"):  # a child of the environment's would keep it open
            os.register_at_fork(after_in_child=sock.close)

    def answer(self, step: Callable[[Any], Any], actions: Actions, plain: PlainSteps) -> Given:
        """Answer requests until one is for the worker, or the episode ends.

        Args:
            step: The method of the environment.
            actions: Reads the requests.
            plain: Tells which steps are answered here.
        """
        self._bytes, count = actions.request_bytes, 0
        while True:
            request = actions.read(self._next())
            if request is None:
                return count, False, None
            try:
                result = step(request[1])
            except Exception as exc:  # an environment raises whatever it likes
                return count, False, (False, exc)
            taken = plain.step_of(result)
            info = packed_info(taken[4]) if taken is not None and taken[4] else b""
            if taken is None or info is None:
                return count, False, (True, result)
            obs, reward, terminated, truncated, _ = taken
            flags = COMPACT | HAS_REWARD | (HAS_INFO if info else 0)
            flags |= terminated * TERMINATED | truncated * TRUNCATED
            payload = plain.packed(obs) + info
            length = _RESULT.size - _LENGTH_BYTES + len(payload)
            self._reply(_RESULT.pack(length, RESULT, flags, 0, request[0], reward) + payload)
            count += 1
            if terminated or truncated:
                return count, True, None

    def _next(self) -> bytes:
        """Return the beginning of what has come, which stays there; b"" where the peer is gone."""
        try:
            data = self._spin.wait(self._look)
            return self._sock.recv(self._bytes, socket.MSG_PEEK) if data is None else data
        except ConnectionError:  # which the worker will find too
            return b""

    def _look(self) -> bytes:
        return self._sock.recv(self._bytes, socket.MSG_PEEK | socket.MSG_DONTWAIT)

    def _reply(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # as before
            self._sock.sendall(data)
        self._sock.recv(self._bytes, socket.MSG_WAITALL)


def received(fd: int) -> socket.socket:
    """Return the socket that comes over another one, which is closed then.

    Args:
        fd: The descriptor of that.
    """
    number = array.array("i")
    with socket.socket(fileno=fd) as sock:
        ancillary = sock.recvmsg(1, socket.CMSG_SPACE(number.itemsize))[1]
    number.frombytes(ancillary[0][2][: number.itemsize])
    os.set_inheritable(number[0], False)
    found = socket.socket(fileno=number[0])
    found.setblocking(True)
    return found
