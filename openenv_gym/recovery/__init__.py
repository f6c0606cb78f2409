"""What becomes of an episode when something fails: states, budgets and seeds, without any I/O."""

from openenv_gym.recovery.episode import Do, Effect, Episode, EpisodeState, Event
from openenv_gym.recovery.policy import FaultPolicy, OnFault, fault_policy
from openenv_gym.recovery.restarts import KEPT_ACTIONS, Restarts
from openenv_gym.recovery.seeds import base_seeds_of, seed_after_fault

__all__ = [
    "KEPT_ACTIONS",
    "Do",
    "Effect",
    "Episode",
    "EpisodeState",
    "Event",
    "FaultPolicy",
    "OnFault",
    "Restarts",
    "base_seeds_of",
    "fault_policy",
    "seed_after_fault",
]
