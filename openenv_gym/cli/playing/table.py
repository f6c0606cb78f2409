"""The table that is played at: an environment, its current episode, and who looks on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from rich.console import RenderableType
from rich.text import Text

from openenv_gym.cli.playing.episodes import PlayedEpisode, PlayedEpisodes
from openenv_gym.cli.playing.picture import Picture
from openenv_gym.cli.playing.recording import Recording

_PICTURE_MARGIN = 5
"""Lines of a terminal that a picture leaves for the texts around it."""
_FEWEST_LINES = 4


class PlayTable:
    """An environment that is played episode by episode.

    Args:
        env: The environment.
        target: What it is called.
        seed: The seed of the first episode; each further one has the next. None gives no seeds.
        recording: Takes each frame; None for none.

    Attributes:
        env: The environment.
        episode: The current episode.
        obs: The last observation.
        info: The last info.
        frame: What the environment renders now, None without a render mode.
        episodes: Those that have ended.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        target: str,
        seed: int | None,
        recording: Recording | None = None,
    ) -> None:
        self.env = env
        self.episodes = PlayedEpisodes(target)
        self._next_seed = seed
        self._recording = recording
        self._reward: Any = None

    def begin(self) -> None:
        """Begin the next episode; one that is not over counts as left."""
        self.leave()
        self.episode = PlayedEpisode(self._next_seed)
        self.obs, self.info = self.env.reset(seed=self._next_seed)
        if self._next_seed is not None:
            self._next_seed += 1
        self._reward = None
        self._show()

    def leave(self) -> None:
        """End the current episode, if it has begun."""
        episode = getattr(self, "episode", None)
        if episode is not None and not episode.end and episode.length:
            episode.end = "left"
            self.episodes.add(episode)

    def step(self, action: Any) -> None:
        """Act."""
        self.obs, self._reward, terminated, truncated, self.info = self.env.step(action)
        self.episode.take(self._reward, terminated, truncated, self.info)
        if self.episode.end:
            self.episodes.add(self.episode)
        self._show()

    def _show(self) -> None:
        self.frame = None if self.env.render_mode is None else self.env.render()
        if self._recording is not None:
            self._recording.add(self.frame)

    def title(self) -> str:
        """Return where the game stands, in one line."""
        episode = self.episode
        parts = [self.episodes.target, f"step {episode.length}", f"return {episode.total:g}"]
        if self._reward is not None:
            parts.append(f"reward {float(np.sum(self._reward)):g}")
        if episode.end:
            parts.append(f"the episode has ended: {episode.end}")
        return " · ".join(parts)

    def picture(self, lines: int) -> RenderableType:
        """Return what there is to see: the picture, the text, or the observation itself.

        Args:
            lines: The height of the terminal.
        """
        frame = self.frame
        if isinstance(frame, np.ndarray) and frame.ndim == 3:
            return Picture(frame, max(_FEWEST_LINES, lines - _PICTURE_MARGIN))
        if isinstance(frame, str):
            return Text.from_ansi(frame)
        return Text(_shown(self.obs))


def _shown(obs: Any) -> str:
    if isinstance(obs, dict):
        return "\n".join(f"{key}: {_shown(one)}" for key, one in obs.items())
    if isinstance(obs, np.ndarray):
        return np.array2string(obs, precision=4, threshold=200)
    return str(obs)


def rendered_mode(modes: Sequence[Any]) -> str | None:
    """Return the first mode of an environment that a terminal can show, None if there is none."""
    return next((one for one in modes if one in ("ansi", "rgb_array")), None)
