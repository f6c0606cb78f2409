"""What ``Env.render`` returns, as text and PNG, for the borders that speak JSON."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openenv_gym.errors import RemoteEnvError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOR_TYPES = {1: 0, 3: 2, 4: 6}
"""What the header of the file says for so many channels: gray, RGB, RGB with alpha."""
_UP = 2
"""The filter that writes each byte as its difference to the one above, modulo 256."""
_LEVEL = 1
"""Of zlib: a higher level takes ten times as long to make a frame a third smaller."""


def shown_frames(rendered: Any) -> list[str | bytes]:
    """Return the frames in what ``Env.render`` returned: text, and pictures as PNG files.

    Args:
        rendered: Text, an array of uint8, or a list or tuple of these; None for nothing.

    Raises:
        RemoteEnvError: it holds something else.
    """
    if rendered is None:
        return []
    if isinstance(rendered, str):
        return [rendered]
    if isinstance(rendered, list | tuple):
        return [frame for one in rendered for frame in shown_frames(one)]
    if is_picture(rendered):
        return [to_png(rendered)]
    got = type(rendered).__name__
    if isinstance(rendered, np.ndarray):
        got = f"an array {rendered.dtype} of shape {rendered.shape}"
    raise RemoteEnvError(f"render: expected text or a picture of uint8 (h, w, 3), got {got}")


def is_picture(frame: Any) -> bool:
    """Return whether ``frame`` is an array that :func:`to_png` takes.

    >>> is_picture(np.zeros((2, 3, 3), np.uint8)), is_picture(np.zeros((2, 3, 3)))
    (True, False)
    """
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or 0 in frame.shape:
        return False
    return frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] in _COLOR_TYPES)


def to_png(frame: NDArray[np.uint8]) -> bytes:
    """Return a picture as the bytes of a PNG file, which has the same pixels.

    Args:
        frame: An array of uint8 of shape ``(height, width)``, or ``(height, width, channels)``
            with 1, 3 or 4 channels.

    Raises:
        ValueError: ``frame`` is no such array.
    """
    if not is_picture(frame):
        raise ValueError(
            "expected a picture of uint8 and shape (h, w) or (h, w, 1, 3 or 4), "
            f"got {getattr(frame, 'dtype', type(frame).__name__)} {np.shape(frame)}"
        )
    height, width = frame.shape[:2]
    rows = np.ascontiguousarray(frame).reshape(height, -1)
    color_type = _COLOR_TYPES[rows.shape[1] // width]
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0)
    pixels = zlib.compress(filtered.tobytes(), _LEVEL)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", pixels), _chunk(b"IEND", b""))
    return _SIGNATURE + b"".join(chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
