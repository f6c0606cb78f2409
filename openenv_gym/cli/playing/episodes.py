"""What was played: episodes, and what they have in common."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

_MOST_ROWS = 20


@dataclass
class PlayedEpisode:
    """One episode.

    Attributes:
        seed: The seed of its reset.
        length: How many steps it has had.
        total: The sum of its rewards.
        end: ``terminated``, ``truncated``, ``left`` by the person, or the kind of a fault; "" while
            it is played.
    """

    seed: int | None
    length: int = 0
    total: float = 0.0
    end: str = ""

    def take(self, reward: Any, terminated: bool, truncated: bool, info: dict[str, Any]) -> None:
        """Add one step; an array of rewards counts as its sum."""
        self.length += 1
        self.total += float(np.sum(reward))
        if "openenv" in info and "fault" in info["openenv"]:
            self.end = str(info["openenv"]["fault"])
        elif terminated or truncated:
            self.end = "terminated" if terminated else "truncated"


@dataclass
class PlayedEpisodes:
    """The episodes of one game, and how long they took.

    Attributes:
        target: What was played.
        played: The episodes that have ended.
        seconds: How long was played.
    """

    target: str
    played: list[PlayedEpisode] = field(default_factory=list)
    seconds: float = 0.0
    _began: float = field(default_factory=time.monotonic, repr=False)

    def add(self, episode: PlayedEpisode) -> None:
        """Add an episode that has ended."""
        self.played.append(episode)
        self.seconds = time.monotonic() - self._began

    def to_json(self) -> dict[str, Any]:
        """Return the episodes and their statistics as JSON has them."""
        return {
            "target": self.target,
            "episodes": [asdict(one) for one in self.played],
            **self._statistics(),
        }

    def _statistics(self) -> dict[str, Any]:
        steps = sum(one.length for one in self.played)
        totals = np.array([one.total for one in self.played] or [np.nan])
        return {
            "mean_return": float(totals.mean()),
            "std_return": float(totals.std()),
            "min_return": float(totals.min()),
            "max_return": float(totals.max()),
            "mean_length": steps / max(len(self.played), 1),
            "steps": steps,
            "seconds": round(self.seconds, 3),
            "steps_per_second": round(steps / self.seconds, 1) if self.seconds else None,
        }

    def show(self, console: Console) -> None:
        """Print the last episodes as a table, and what all have in common."""
        table = Table("episode", "seed", "steps", "return", "end", title=self.target)
        skipped = max(0, len(self.played) - _MOST_ROWS)
        for number, one in enumerate(self.played[skipped:], skipped + 1):
            seed = "" if one.seed is None else str(one.seed)
            table.add_row(str(number), seed, str(one.length), f"{one.total:g}", one.end)
        known = self._statistics()
        speed = known["steps_per_second"]
        console.print(table)
        console.print(
            f"{len(self.played)} episodes: return {known['mean_return']:.4g} "
            f"± {known['std_return']:.3g} ({known['min_return']:g} to {known['max_return']:g}), "
            f"{known['mean_length']:.4g} steps each"
            + (f", {speed:,.0f} steps a second" if speed else ""),
            highlight=False,
        )
