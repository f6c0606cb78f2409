"""The start of an episode of an OpenSpiel game: a new deal, or a restored snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from openenv_gym.adapters.openspiel_episode import ALL, check_chosen, replay
from openenv_gym.adapters.openspiel_games import LoadedGame
from openenv_gym.adapters.openspiel_population import Population
from openenv_gym.adapters.openspiel_snapshot import read_snapshot
from openenv_gym.errors import InvalidRequestError

Seat = int | Literal["random", "all"]
"""The seat of the agent: a number, one drawn for each episode, or every seat."""


class Start(NamedTuple):
    """The start of an episode.

    Attributes:
        seat: The number of the agent's seat.
        state: The state of the game, a ``pyspiel.State``.
        seed: The seed of the game's own generator, None if it has none.
        chosen: The choices made so far, by player, at a node where several choose at once.
        moved: The players that had moved, each once, in the order of their last moves.
    """

    seat: int
    state: Any
    seed: int | None
    chosen: dict[int, int]
    moved: list[int]


@dataclass(frozen=True, kw_only=True)
class Starts:
    """Starts the episodes of an environment.

    Attributes:
        loaded: The loaded game.
        agent_player: The seat of the agent, a number, ``"random"`` or ``"all"``.
        population: The population of a mean-field game, None in other games.
    """

    loaded: LoadedGame
    agent_player: Seat
    population: Population | None

    def dealt(self, rng: np.random.Generator) -> Start:
        """Return the start of a new game; draw the seat if ``agent_player`` is ``"random"``."""
        seat = self.agent_player
        if seat == "random":
            seat = int(rng.random() * self.loaded.game.num_players())
        number = ALL if seat == "all" else int(seat)
        game, seed = self.loaded.for_episode(rng)
        return Start(number, self._new_state(game, number), seed, {}, [])

    def restored(self, options: dict[str, Any], rng: np.random.Generator) -> Start:
        """Return the start that the options of a reset ask for.

        Raises:
            InvalidRequestError: There is another option, or the snapshot is of another game.
        """
        if unknown := [key for key in options if key != "state"]:
            raise InvalidRequestError(
                f"reset of OpenSpielEnv has the option 'state' only, got {unknown[0]!r}: "
                "parameters of the game are given when the environment is made."
            )
        snapshot = read_snapshot(options["state"])
        if snapshot.game != str(self.loaded.game):
            raise InvalidRequestError(
                f"options['state'] is of the game {snapshot.game[:80]}, and this is "
                f"{str(self.loaded.game)[:80]}: make the environment with that game."
            )
        seat = self.agent_player if snapshot.seat is None else snapshot.seat
        if self.agent_player not in ("random", seat):
            raise InvalidRequestError(
                f"options['state'] is of the seat {seat!r}, and the agent plays "
                f"{self.agent_player!r}: make the environment with agent_player={seat!r}."
            )
        number = ALL if seat == "all" else int(check_seat(seat, self.loaded.game.num_players(), ()))
        if snapshot.seed is None and self.loaded.samples_inside:
            raise InvalidRequestError(
                "options['state'] lacks the seed of the game's own generator: pass the snapshot "
                "that the state of the session carries."
            )
        game, seed = self.loaded.for_episode(rng, snapshot.seed)
        state = self._new_state(game, number)
        moved = replay(state, snapshot.actions, self.population)
        check_chosen(state, snapshot.chosen, number)
        return Start(number, state, seed, snapshot.chosen, moved)

    def _new_state(self, game: Any, seat: int) -> Any:
        if self.population is not None and self.loaded.game.num_players() > 1:
            return game.new_initial_state_for_population(seat)
        return game.new_initial_state()


def check_seat(
    agent_player: Any, num_players: int, words: Sequence[str] = ("random", "all")
) -> Seat:
    """Return ``agent_player``, after a check.

    Args:
        agent_player: A number of a seat, or one of ``words``.
        num_players: The number of seats.
        words: The words that are allowed in place of a number.

    Raises:
        InvalidRequestError: It is neither.
    """
    if isinstance(agent_player, str) and agent_player in words:
        return agent_player  # type: ignore[return-value]  # one of the words
    is_int = isinstance(agent_player, (int, np.integer)) and not isinstance(agent_player, bool)
    if not is_int or not 0 <= agent_player < num_players:
        others = "".join(f", or {word!r}" for word in words)
        raise InvalidRequestError(
            f"agent_player is a seat of the game, an integer from 0 to {num_players - 1}{others}; "
            f"got {agent_player!r}."
        )
    return int(agent_player)
