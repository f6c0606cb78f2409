"""The population of a mean-field game: the distribution of all others over the states.

A mean-field game asks at every turn for the distribution of a population that plays some policy.
It follows from the game and that policy alone, so it is computed once, when the environment is
made.
"""

from __future__ import annotations

from typing import Any

from openenv_gym.errors import InvalidRequestError

_CHOICES = {
    "first": lambda legal: legal[0],
    "middle": lambda legal: legal[len(legal) // 2],
    "last": lambda legal: legal[-1],
}
POPULATION_POLICIES = ("random", *_CHOICES)


class Population:
    """The distribution of a population that plays one policy.

    Args:
        game: The mean-field game, a ``pyspiel.Game``.
        policy: The policy of the population: ``"random"``, ``"first"``, ``"middle"`` or
            ``"last"``, or an ``open_spiel.python.policy.Policy``.

    Raises:
        InvalidRequestError: The policy is none of these.
    """

    def __init__(self, game: Any, policy: Any) -> None:
        from open_spiel.python.mfg.algorithms.distribution import DistributionPolicy

        self._arguments = game, policy
        self._distribution = DistributionPolicy(game, _policy(game, policy))

    def update(self, state: Any) -> None:
        """Give the distribution to a state that waits for it."""
        support = state.distribution_support()
        state.update_distribution([self._distribution.value_str(text, 0.0) for text in support])

    def __reduce__(self) -> tuple[Any, ...]:
        return Population, self._arguments


def _policy(game: Any, policy: Any) -> Any:
    from open_spiel.python.policy import Policy, UniformRandomPolicy

    if isinstance(policy, Policy):
        return policy
    if policy == "random":
        return UniformRandomPolicy(game)
    if not isinstance(policy, str) or policy not in _CHOICES:
        raise InvalidRequestError(
            "In a mean-field game opponent_policy is the policy of the whole population: "
            f"{', '.join(POPULATION_POLICIES)}, or an open_spiel Policy; got {policy!r:.80}."
        )

    class Chosen(Policy):  # type: ignore[misc]  # open_spiel has no types
        """Plays the first, the middle or the last legal action."""

        def action_probabilities(self, state: Any, player_id: int | None = None) -> Any:
            return {_CHOICES[policy](state.legal_actions()): 1.0}

    return Chosen(game, list(range(game.num_players())))
