"""The frames of RFC 6455 that a session exchanges on every step, and nothing more.

``websockets`` does the handshake, pings and the closing; its general path costs about as much
as the rest of a step together. Whole data frames, which have no state beyond themselves, are
read and written here instead; every other frame is handed on to it.
"""

from __future__ import annotations

import os
import struct

from websockets.frames import apply_mask  # type: ignore[attr-defined]

from openenv_gym.errors import ProtocolError

CONTINUATION, TEXT, BINARY = 0, 1, 2
_CONTROL_BIT = 8
_FINAL_BIT = 0x80
_MASK_BIT = 0x80
_LENGTH_16, _LENGTH_64 = 126, 127


def data_frame(opcode: int, payload: bytes) -> bytes:
    """Return one whole, masked data frame, as a client sends it."""
    length, mask = len(payload), os.urandom(4)
    if length < _LENGTH_16:
        head = bytes((_FINAL_BIT | opcode, _MASK_BIT | length))
    elif length < 1 << 16:
        head = struct.pack("!BBH", _FINAL_BIT | opcode, _MASK_BIT | _LENGTH_16, length)
    else:
        head = struct.pack("!BBQ", _FINAL_BIT | opcode, _MASK_BIT | _LENGTH_64, length)
    return head + mask + apply_mask(payload, mask)


class FrameSplitter:
    """Cuts what a server sends into data messages and other frames.

    Args:
        max_message_bytes: A longer message is refused before it is collected.
    """

    def __init__(self, max_message_bytes: int) -> None:
        self._buffer = bytearray()
        self._fragments = bytearray()
        self._max_message_bytes = max_message_bytes
        self._needed = 0

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Take in what was read.

        Returns:
            The messages that are complete now, and the control frames between them as they came.

        Raises:
            ProtocolError: a message is longer than allowed, or masked.
        """
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._needed:
                return [], b""
            data = bytes(self._buffer)
            self._buffer.clear()
        messages: list[bytes] = []
        control = b""
        start = self._needed = 0
        while (found := self._next(data, start)) is not None:
            first, body, end = found
            opcode = first & 0x0F
            if opcode & _CONTROL_BIT:
                control += data[start:end]
            elif first & _FINAL_BIT and opcode != CONTINUATION:
                messages.append(data[body:end])
            else:
                self._collect(data[body:end], bool(first & _FINAL_BIT), messages)
            start = end
        self._buffer += data[start:]
        return messages, control

    def _next(self, data: bytes, start: int) -> tuple[int, int, int] | None:
        """The first byte, the start and the end of the payload of the frame at ``start``."""
        body = start + 2
        if len(data) < body:
            return None
        length = data[start + 1]
        if length & _MASK_BIT:
            raise ProtocolError("expected frames without a mask from a server, got a masked one")
        if length >= _LENGTH_16:
            size = 2 if length == _LENGTH_16 else 8
            if len(data) < body + size:
                return None
            length = int.from_bytes(data[body : body + size], "big")
            body += size
        if length + len(self._fragments) > self._max_message_bytes:
            raise ProtocolError(
                f"expected messages of at most {self._max_message_bytes} bytes "
                f"(max_message_bytes), got one of {length}"
            )
        if len(data) < body + length:
            self._needed = body + length - start
            return None
        return data[start], body, body + length

    def _collect(self, payload: bytes, is_final: bool, messages: list[bytes]) -> None:
        self._fragments += payload
        if is_final:
            messages.append(bytes(self._fragments))
            self._fragments.clear()
