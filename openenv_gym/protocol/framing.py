"""Frames on a byte stream: a uint32 length, little endian, then the body."""

from __future__ import annotations

from openenv_gym.errors import ProtocolError

HEADER_BYTES = 4
MAX_FRAME_BYTES = 1 << 30


def frame(body: bytes) -> bytes:
    """Return ``body`` with its length before it."""
    return len(body).to_bytes(HEADER_BYTES, "little") + body


class FrameReader:
    """Cuts a stream of bytes into bodies.

    Args:
        max_frame_bytes: A longer frame is refused before it is collected.
    """

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._buffer = bytearray()
        self._max_frame_bytes = max_frame_bytes

    def feed(self, data: bytes) -> list[bytes]:
        """Take in what was read and return the bodies that are complete now.

        Raises:
            ProtocolError: a frame says that it is longer than allowed.
        """
        if not self._buffer and len(data) >= HEADER_BYTES:
            # The usual case, one whole frame in one read, copies the body once.
            length = int.from_bytes(data[:HEADER_BYTES], "little")
            if HEADER_BYTES + length == len(data) and length <= self._max_frame_bytes:
                return [data[HEADER_BYTES:]]
        self._buffer += data
        bodies = []
        while (end := self._end()) is not None:
            bodies.append(bytes(self._buffer[HEADER_BYTES:end]))
            del self._buffer[:end]
        return bodies

    def _end(self) -> int | None:
        if len(self._buffer) < HEADER_BYTES:
            return None
        length = int.from_bytes(self._buffer[:HEADER_BYTES], "little")
        if length > self._max_frame_bytes:
            raise ProtocolError(
                f"expected frames of at most {self._max_frame_bytes} bytes, got one of {length}"
            )
        return HEADER_BYTES + length if len(self._buffer) >= HEADER_BYTES + length else None
