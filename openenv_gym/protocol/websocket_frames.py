"""The frames of RFC 6455 that a session exchanges on every step, and nothing more.

``websockets`` does the handshake, pings and the closing; its general path costs about as much
as the rest of a step together. Whole data frames, which have no state beyond themselves, are
read and written here instead; every other frame is handed on to it.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping

import numpy as np
from websockets.frames import apply_mask  # type: ignore[attr-defined]  # not in its __all__

from openenv_gym.errors import ProtocolError
from openenv_gym.protocol.framing import IN_PLACE_BYTES, Body, LongBody

CONTINUATION, TEXT, BINARY, CLOSE = 0, 1, 2, 8
PROTOCOL_ERROR, UNSUPPORTED_DATA, MESSAGE_TOO_BIG = 1002, 1003, 1009
MAX_REASON_BYTES = 123
"""The most bytes of text in a closing frame."""

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


def unmask(payload: memoryview, mask: bytes) -> memoryview:
    """Return ``payload``, unmasked where it is; an empty mask is none."""
    if mask:
        end = len(payload) & ~3
        words = np.frombuffer(payload[:end], np.uint32)
        np.bitwise_xor(words, np.frombuffer(mask, np.uint32), out=words)
        payload[end:] = apply_mask(payload[end:], mask)
    return payload


class FrameSplitter:
    """Cuts what a peer sends into data messages and other frames.

    Args:
        max_message_bytes: A longer message is refused before it is collected.
        option: What sets the limit, for the error.
        is_server: Whether it is a server's: what a client sends is masked.
        opcode: The only kind of data that may come; None for any.
        in_place: Whether long frames are received where they will stay, as memoryviews.

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
        option: str = "max_message_bytes",
    ) -> None:
        self._buffer = bytearray()
        self._fragments = bytearray()
        self._long: LongBody | None = None
        self.max_message_bytes = max_message_bytes
        self._by_kind: dict[int, int] = {}
        self._least_by_kind: float = math.inf
        self._option = option
        self._is_server = is_server
        self._opcode = opcode
        self._in_place = in_place
        self._needed = 0
        self._first, self._mask = 0, b""  # of the frame that is received in place

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
            long, self._long = self._long.body, None
            self._take_in(self._first, unmask(long, self._mask), messages)
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

    def limit(self, max_bytes_by_kind: Mapping[int, int]) -> None:
        """Take shorter messages from now on, of those whose first byte is a key."""
        self._by_kind = dict(max_bytes_by_kind)
        self._least_by_kind = min(self._by_kind.values(), default=math.inf)

    def _take_in(self, first: int, payload: Body, messages: list[Body]) -> None:
        opcode, is_final = first & 0x0F, bool(first & _FINAL_BIT)
        if opcode != CONTINUATION and self._opcode not in (None, opcode):
            raise _UnsupportedDataError("expected messages of the one kind that was agreed on")
        if is_final and opcode != CONTINUATION:
            messages.append(payload)
            return
        self._fragments += payload
        if is_final:
            messages.append(memoryview(self._fragments))
            self._fragments = bytearray()

    def _next(self, data: Body, start: int) -> tuple[int, int, int] | None:
        """The first byte, the start and the end of the payload of the frame at ``start``."""
        body = start + 2
        if len(data) < body:
            return None
        self._check_head(data[start], data[start + 1])
        length = data[start + 1] & ~_MASK_BIT
        if length >= _LENGTH_16:
            size = 2 if length == _LENGTH_16 else 8
            if len(data) < body + size:
                return None
            length = int.from_bytes(data[body : body + size], "big")
            body += size
        if self._is_server:
            body += _MASK_BYTES
        whole = length + len(self._fragments)
        is_long = whole > self.max_message_bytes or whole > self._least_by_kind
        if is_long and not self._may_be_taken(data, start, body, length):
            return None
        if len(data) < body + length:
            self._needed = body + length - start
            self._go_on_in_place(data, start, body, length)
            return None
        return data[start], body, body + length

    def _check_head(self, first: int, second: int) -> None:
        """Refuse a frame whose first two bytes this peer may not send."""
        if first & _RESERVED_BITS:
            raise FrameError("expected frames without an extension, such as compression")
        if bool(second & _MASK_BIT) is not self._is_server:
            wanted, got = ("masked", "one without") if self._is_server else ("bare", "a masked one")
            raise FrameError(f"expected {wanted} frames from this peer, got {got}")
        if first & _CONTROL_BIT and second & ~_MASK_BIT >= _LENGTH_16:
            raise FrameError("expected control frames of at most 125 bytes, got a longer one")

    def _may_be_taken(self, data: Body, start: int, body: int, length: int) -> bool:
        """Whether a long frame may be taken; not before the first byte of its message has come.

        Raises:
            FrameError: it is too long.
        """
        length += len(self._fragments)
        if self._fragments:
            self._check_length(length, self._fragments[0])
        elif len(data) > body:
            self._check_length(length, self._payload(data, body, body + 1)[0])
        else:
            self._check_length(length, None)
            self._needed = body + 1 - start
            return False
        return True

    def _check_length(self, length: int, kind: int | None) -> None:
        limit = self.max_message_bytes
        said = f"messages of at most {limit} bytes ({self._option})"
        if kind in self._by_kind and self._by_kind[kind] < limit:
            limit = self._by_kind[kind]
            said = f"{limit} bytes for the kind {kind}, {said}"
        if length > limit:
            raise _MessageTooBigError(f"expected {said}, got one of {length}")

    def _payload(self, data: Body, body: int, end: int) -> bytes:
        if not self._is_server:
            return bytes(data[body:end])
        return apply_mask(data[body:end], bytes(data[body - _MASK_BYTES : body]))

    def _go_on_in_place(self, data: Body, start: int, body: int, length: int) -> None:
        first = data[start]
        if self._in_place and not first & _CONTROL_BIT and length in IN_PLACE_BYTES:
            self._first, self._long = first, LongBody(length)
            self._long.take(data[body:])
            if self._is_server:
                self._mask = bytes(data[body - _MASK_BYTES : body])
