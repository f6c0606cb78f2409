"""The frames of RFC 6455 that a session exchanges on every step, and nothing more.

``websockets`` does the handshake, pings and the closing; its general path costs about as much
as the rest of a step together. Whole data frames, which have no state beyond themselves, are
read and written here instead; every other frame is handed on to it.
"""

from __future__ import annotations

import os
import struct

from websockets.frames import apply_mask  # type: ignore[attr-defined]  # not in its __all__

from openenv_gym.errors import ProtocolError
from openenv_gym.protocol.framing import IN_PLACE_BYTES, Body, LongBody

CONTINUATION, TEXT, BINARY = 0, 1, 2
PROTOCOL_ERROR, UNSUPPORTED_DATA, MESSAGE_TOO_BIG = 1002, 1003, 1009
_CONTROL_BIT = 8
_FINAL_BIT = 0x80
_RESERVED_BITS = 0x70
_MASK_BIT = 0x80
_MASK_BYTES = 4
_LENGTH_16, _LENGTH_64 = 126, 127


class FrameError(ProtocolError):
    """A frame that ends the connection.

    Attributes:
        close_code: The code of the closing frame that says so.
    """

    close_code = PROTOCOL_ERROR


class _UnsupportedDataError(FrameError):
    close_code = UNSUPPORTED_DATA


class _MessageTooBigError(FrameError):
    close_code = MESSAGE_TOO_BIG


def client_frame(opcode: int, payload: Body) -> bytes:
    """Return one whole, masked data frame, as a client sends it."""
    mask = os.urandom(_MASK_BYTES)
    return _head(opcode, len(payload), _MASK_BIT) + mask + apply_mask(payload, mask)


def server_frame_header(opcode: int, payload: Body) -> bytes:
    """Return what stands before ``payload`` in a whole data frame of a server."""
    return _head(opcode, len(payload), 0)


def _head(opcode: int, length: int, mask_bit: int) -> bytes:
    if length < _LENGTH_16:
        return bytes((_FINAL_BIT | opcode, mask_bit | length))
    if length < 1 << 16:
        return struct.pack("!BBH", _FINAL_BIT | opcode, mask_bit | _LENGTH_16, length)
    return struct.pack("!BBQ", _FINAL_BIT | opcode, mask_bit | _LENGTH_64, length)


class FrameSplitter:
    """Cuts what a peer sends into data messages and other frames.

    Args:
        max_message_bytes: A longer message is refused before it is collected.
        is_server: Whether it is a server's: what a client sends is masked.
        opcode: The only kind of data that may come; None for any.
        in_place: Whether long messages are received where they will stay, as memoryviews.

    Attributes:
        max_message_bytes: What was given; it may be changed between two messages.
    """

    def __init__(
        self,
        max_message_bytes: int,
        *,
        is_server: bool = False,
        opcode: int | None = None,
        in_place: bool = False,
    ) -> None:
        self._buffer = bytearray()
        self._fragments = bytearray()
        self._long: LongBody | None = None
        self.max_message_bytes = max_message_bytes
        self._is_server = is_server
        self._opcode = opcode
        self._in_place = in_place and not is_server  # what is masked has to be copied anyway
        self._needed = 0

    def room(self) -> memoryview | None:
        """Where to receive the rest of a long message, None where bytes are to be read."""
        return None if self._long is None else self._long.room

    def feed(self, data: Body) -> tuple[list[Body], bytes]:
        """Take in what was read.

        Args:
            data: Bytes; or the part of :meth:`room` that was received there.

        Returns:
            The messages that are complete now, and the control frames between them as they came.

        Raises:
            FrameError: a message is longer than allowed, of the wrong kind or mask.
        """
        messages: list[Body] = []
        if self._long is not None:
            data = self._long.take(data)
            if not self._long.is_whole:
                return messages, b""
            messages.append(self._long.body)
            self._long = None
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._needed:
                return messages, b""
            data = bytes(self._buffer)
            self._buffer.clear()
        control = bytearray()
        start = self._needed = 0
        while (found := self._next(data, start)) is not None:
            first, body, end = found
            if first & _CONTROL_BIT:
                control += data[start:end]
            else:
                self._take_in(first, self._payload(data, body, end), messages)
            start = end
        if self._long is None:
            self._buffer += data[start:]
        return messages, bytes(control)

    def _take_in(self, first: int, payload: bytes, messages: list[Body]) -> None:
        opcode, is_final = first & 0x0F, bool(first & _FINAL_BIT)
        if opcode != CONTINUATION and self._opcode not in (None, opcode):
            raise _UnsupportedDataError("expected messages of the one kind that was agreed on")
        if is_final and opcode != CONTINUATION:
            messages.append(payload)
            return
        self._fragments += payload
        if is_final:
            messages.append(bytes(self._fragments))
            self._fragments.clear()

    def _next(self, data: Body, start: int) -> tuple[int, int, int] | None:
        """The first byte, the start and the end of the payload of the frame at ``start``."""
        body = start + 2
        if len(data) < body:
            return None
        if data[start] & _RESERVED_BITS:
            raise FrameError("expected frames without an extension, such as compression")
        length = data[start + 1]
        if bool(length & _MASK_BIT) is not self._is_server:
            wanted, got = ("masked", "one without") if self._is_server else ("bare", "a masked one")
            raise FrameError(f"expected {wanted} frames from this peer, got {got}")
        length &= ~_MASK_BIT
        if length >= _LENGTH_16:
            size = 2 if length == _LENGTH_16 else 8
            if len(data) < body + size:
                return None
            length = int.from_bytes(data[body : body + size], "big")
            body += size
            if data[start] & _CONTROL_BIT:
                raise FrameError(f"expected control frames of at most 125 bytes, got {length}")
        if length + len(self._fragments) > self.max_message_bytes:
            option = "" if self._is_server else " (max_message_bytes)"
            raise _MessageTooBigError(
                f"expected messages of at most {self.max_message_bytes} bytes{option}, "
                f"got one of {length}"
            )
        if self._is_server:
            body += _MASK_BYTES
        if len(data) < body + length:
            self._needed = body + length - start
            self._go_on_in_place(data[start], data[body:], length)
            return None
        return data[start], body, body + length

    def _payload(self, data: Body, body: int, end: int) -> bytes:
        if not self._is_server:
            return bytes(data[body:end])
        return apply_mask(data[body:end], bytes(data[body - _MASK_BYTES : body]))

    def _go_on_in_place(self, first: int, begun: Body, length: int) -> None:
        is_whole = first & _FINAL_BIT and not first & _CONTROL_BIT and first & 0x0F != CONTINUATION
        if self._in_place and is_whole and length in IN_PLACE_BYTES:
            self._long = LongBody(length)
            self._long.take(begun)
