"""Planned faults, to test training loops: an environment that fails, and a proxy that fails.

>>> import gymnasium as gym
>>> env = gym.make("openenv_gym.testing:Fault-v0", plan={"0/0/3": "raise"})
>>> observation, info = env.reset(seed=0)
>>> env.close()

Importing this module registers ``Fault-v0``; ``import openenv_gym`` does not import it.
"""

from __future__ import annotations

import gymnasium as gym

from openenv_gym.testing.fault_env import FaultEnv
from openenv_gym.testing.fault_proxy import FaultProxy
from openenv_gym.testing.faults import KINDS, PlannedFaultError
from openenv_gym.testing.ledger import FaultLedger, FiredFault

__all__ = ["KINDS", "FaultEnv", "FaultLedger", "FaultProxy", "FiredFault", "PlannedFaultError"]

ENV_ID = "Fault-v0"

if ENV_ID not in gym.registry:
    gym.register(ENV_ID, "openenv_gym.testing.fault_env:FaultEnv")
