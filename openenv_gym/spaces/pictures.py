"""Arrays that a server writes flat, or as a picture in a text."""

from __future__ import annotations

import base64
import binascii
import io
import math
from typing import Any

import gymnasium.spaces as gs
import numpy as np
from numpy.typing import NDArray

from openenv_gym.spaces.numbers import from_json_numbers
from openenv_gym.spaces.schema_space import SchemaSpace, wrong

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_MOST_PIXELS = 1 << 24  # Pillow takes four bytes for each, beside our own three


def reshaped(space: gs.Box) -> SchemaSpace:
    """Return ``space`` for arrays that are written as flat lists; values have its shape.

    >>> reshaped(gs.Box(0, 9, (2, 2), np.uint8)).read([1, 2, 3, 4], "$").tolist()
    [[1, 2], [3, 4]]
    """
    dtype, shape = np.dtype(space.dtype), tuple(space.shape)

    def read(data: Any, path: str) -> NDArray[Any]:
        try:
            array = from_json_numbers(data, dtype)
        except ValueError as exc:
            raise wrong(path, f"{dtype} values of shape {shape}", data) from exc
        if array.shape == shape:
            return array
        if array.ndim > 1 or array.size != math.prod(shape):
            raise wrong(path, f"{math.prod(shape)} values for shape {shape}", array.shape)
        return array.reshape(shape)

    def write(data: Any) -> Any:
        return np.array(data, object).reshape(-1).tolist()

    return SchemaSpace(space=space, read=read, to_json=write, kinds=frozenset({"array"}))


def pictured(shape: tuple[int, ...]) -> SchemaSpace:
    """Return the ``Box`` of bytes of ``shape`` for pictures that are written in base64."""
    space = gs.Box(0, 255, shape, np.uint8)

    def read(data: Any, path: str) -> NDArray[np.uint8]:
        array = pixels_of(data, shape)
        if array is None or array.shape != shape:
            got = data if array is None else array.shape
            raise wrong(path, f"a picture of shape {shape} in base64", got)
        return array

    def write(data: Any) -> str:
        return base64.b64encode(np.array(data, np.uint8).tobytes()).decode()

    return SchemaSpace(space=space, read=read, to_json=write, kinds=frozenset({"string"}))


def pixels_of(data: Any, shape: tuple[int, ...] | None = None) -> NDArray[np.uint8] | None:
    """Return the pixels of a picture in base64 as uint8, None if they cannot be read.

    Pillow reads PNG and JPEG. Other bytes are the pixels themselves, if ``shape`` is given.

    Args:
        data: A text in base64, with or without ``data:image/png;base64,`` before it.
        shape: The shape of bare pixels, None if it is not known.
    """
    if not isinstance(data, str):
        return None
    text = data.partition(",")[2] if data.startswith("data:") else data
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    if content.startswith((_PNG, _JPEG)):
        return _decoded(content)
    if shape is None or len(content) != math.prod(shape):
        return None
    return np.frombuffer(content, np.uint8).reshape(shape).copy()


def has_pillow() -> bool:
    """Return whether pictures can be decoded."""
    try:
        import PIL.Image  # noqa: F401 - is it there
    except ImportError:
        return False
    return True


def _decoded(content: bytes) -> NDArray[np.uint8] | None:
    if not has_pillow():
        return None
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                return None
            mode = picture.mode if picture.mode in ("L", "RGB", "RGBA") else "RGB"
            return np.array(picture.convert(mode), np.uint8)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        return None
