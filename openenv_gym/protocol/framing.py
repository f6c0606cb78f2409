"""Frames on a byte stream: a uint32 length, little endian, then the body.

The body of a long frame is received where it will stay: a reader tells the room for the rest of it,
and what is received there is not copied again. An array in such a body is not copied either.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from openenv_gym.errors import ProtocolError

Body: TypeAlias = bytes | memoryview
"""The body of a frame; a memoryview is writable, and belongs to the reader alone."""

HEADER_BYTES = 4
MAX_FRAME_BYTES = 1 << 30
IN_PLACE_BYTES = range(1 << 16, 1 << 26)
"""Lengths of bodies that are received in place. Room for longer ones is made as they come: a
length alone must not take memory."""


def frame(body: Body) -> bytes:
    """Return ``body`` with its length before it."""
    return b"".join((frame_header(body), body))


def frame_header(body: Body) -> bytes:
    """Return what stands before ``body`` on a stream."""
    return len(body).to_bytes(HEADER_BYTES, "little")


class LongBody:
    """The body of a long frame, while it is received.

    Args:
        length: How long the body is, in bytes.

    Attributes:
        body: All of it; what has not come yet is arbitrary.
    """

    def __init__(self, length: int) -> None:
        self.body = np.empty(length, np.uint8).data
        self._count = 0

    @property
    def room(self) -> memoryview:
        """Where the rest of it belongs."""
        return self.body[self._count :]

    def take(self, data: Body) -> Body:
        """Take in what was read, and return what is behind the body.

        Args:
            data: Bytes; or the part of :attr:`room` that was received there.
        """
        if isinstance(data, memoryview):
            self._count += len(data)
            return b""
        count = min(len(data), len(self.body) - self._count)
        self.body[self._count : self._count + count] = data[:count]
        self._count += count
        return data[count:]

    @property
    def is_whole(self) -> bool:
        """Whether all of it has come."""
        return self._count == len(self.body)


class FrameReader:
    """Cuts a stream of bytes into bodies.

    Args:
        max_frame_bytes: A longer frame is refused before it is collected.
    """

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._buffer = bytearray()
        self._long: LongBody | None = None
        self._max_frame_bytes = max_frame_bytes

    def room(self) -> memoryview | None:
        """Where to receive the rest of a long frame, None where bytes are to be read."""
        return None if self._long is None else self._long.room

    @property
    def is_between(self) -> bool:
        """Whether no part of a frame has come that is not complete."""
        return not self._buffer and self._long is None

    def feed(self, data: Body) -> list[Body]:
        """Take in what was read and return the bodies that are complete now.

        Args:
            data: Bytes; or the part of :meth:`room` that was received there.

        Raises:
            ProtocolError: a frame says that it is longer than allowed.
        """
        bodies: list[Body] = []
        if self._long is not None:
            data = self._long.take(data)
            if not self._long.is_whole:
                return bodies
            bodies.append(self._long.body)
            self._long = None
            if not data:
                return bodies
        if not self._buffer and len(data) >= HEADER_BYTES:
            # The usual case, one whole frame in one read, copies the body once.
            length = int.from_bytes(data[:HEADER_BYTES], "little")
            if HEADER_BYTES + length == len(data) and length <= self._max_frame_bytes:
                return [*bodies, data[HEADER_BYTES:]]
        self._buffer += data
        while (end := self._end()) is not None:
            if len(self._buffer) < end:
                self._go_on_in_place(end - HEADER_BYTES)
                break
            bodies.append(bytes(self._buffer[HEADER_BYTES:end]))
            del self._buffer[:end]
        return bodies

    def _end(self) -> int | None:
        """Where the first frame ends, or will end; None where that is not known yet."""
        if len(self._buffer) < HEADER_BYTES:
            return None
        length = int.from_bytes(self._buffer[:HEADER_BYTES], "little")
        if length > self._max_frame_bytes:
            raise ProtocolError(
                f"expected frames of at most {self._max_frame_bytes} bytes, got one of {length}"
            )
        return HEADER_BYTES + length

    def _go_on_in_place(self, length: int) -> None:
        if length in IN_PLACE_BYTES:
            self._long = LongBody(length)
            self._long.take(bytes(self._buffer[HEADER_BYTES:]))
            self._buffer.clear()
