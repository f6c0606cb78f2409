"""Pictures in a terminal: each character cell shows two pixels, one above the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

_UPPER_HALF = "▀"


class Picture:
    """A picture that rich prints with half blocks, as large as the room allows.

    Args:
        frame: ``uint8`` of shape ``(height, width, 3)``.
        lines: How many lines of text it may take.
    """

    def __init__(self, frame: NDArray[np.uint8], lines: int) -> None:
        self._frame = frame
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the cells line by line."""
        yield from _cells(fitted(self._frame, 2 * self._lines, options.max_width))


def fitted(frame: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return a picture as large as fits, in its own proportions, with an even number of rows.

    Each of its pixels is the mean of those that it stands for, so that thin lines stay visible. A
    picture that is smaller than the room is enlarged by a whole number.

    Args:
        frame: ``uint8`` of shape ``(rows, columns, 3)``.
        height: The most rows, at least 2.
        width: The most columns.

    Returns:
        ``uint8`` of shape ``(rows, columns, 3)``.
    """
    times = max(1, min(height // frame.shape[0], width // frame.shape[1]))
    frame = frame.repeat(times, axis=0).repeat(times, axis=1)
    scale = min(1.0, height / frame.shape[0], width / frame.shape[1])
    rows = max(2, int(frame.shape[0] * scale) // 2 * 2)
    columns = max(1, int(frame.shape[1] * scale))
    fit: NDArray[np.uint8] = _means(_means(frame, rows, 0), columns, 1).astype(np.uint8)
    return fit


def _means(pixels: Any, count: int, axis: int) -> Any:
    """The means of ``count`` groups of neighbours along an axis, of sizes as equal as may be."""
    length = pixels.shape[axis]
    if count >= length:  # a single row is shown as two
        return pixels.take(np.arange(count) * length // count, axis)
    starts = np.arange(count) * length // count
    sums = np.add.reduceat(pixels.astype(np.float32), starts, axis)
    sizes = np.diff([*starts, length])
    return sums / np.expand_dims(sizes, tuple(one for one in range(3) if one != axis))


def _cells(pixels: NDArray[np.uint8]) -> Iterator[Segment]:
    rows = pixels.tolist()
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        for above, below in zip(upper, lower, strict=True):
            style = Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below))
            yield Segment(_UPPER_HALF, style)
        yield Segment.line()
