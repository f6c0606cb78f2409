"""A film of what is played."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from openenv_gym.errors import InvalidRequestError, UnsupportedRenderModeError

_KINDS = (".mp4", ".gif")
_USUAL_FPS = 30
_EVEN = 2  # the usual encoding of an mp4 needs even sides


class Recording:
    """Writes frames into a film as they come.

    Args:
        path: An ``.mp4`` or a ``.gif``.
        fps: Frames a second.

    Raises:
        InvalidRequestError: it is another kind of file, its folder is not there, or the package
            that writes it is not installed.
    """

    def __init__(self, path: Path, fps: float | None) -> None:
        if path.suffix.lower() not in _KINDS:
            raise InvalidRequestError(f"--record: expected a .mp4 or a .gif, got {path}")
        if not path.absolute().parent.is_dir():
            raise InvalidRequestError(f"--record: there is no folder {path.absolute().parent}")
        try:
            import imageio.v2

            fps = fps or _USUAL_FPS
            if path.suffix.lower() == ".gif":
                self._writer = imageio.v2.get_writer(path, duration=1000 / fps, loop=0)
            else:
                self._writer = imageio.v2.get_writer(
                    path, format="FFMPEG", fps=fps, macro_block_size=_EVEN
                )
        except (ImportError, ValueError) as exc:  # imageio raises the second without its ffmpeg
            raise InvalidRequestError(
                "--record needs imageio with ffmpeg: pip install 'openenv-gym[record]'"
            ) from exc
        self.path = path

    def add(self, frame: Any) -> None:
        """Add a frame, ``uint8`` of shape ``(height, width, 3)``.

        Raises:
            UnsupportedRenderModeError: it is no picture.
        """
        if not isinstance(frame, np.ndarray) or frame.ndim != 3:
            raise UnsupportedRenderModeError("--record needs the render mode rgb_array")
        self._writer.append_data(frame)

    def close(self) -> None:
        """Finish the film."""
        self._writer.close()
