"""Vector environments that are served by name: ``vector:benchmarks.vector_envs:FUNCTION``."""

from __future__ import annotations

from typing import Any

ENVPOOL_CARTPOLE = "vector:benchmarks.vector_envs:envpool_cartpole"


def envpool_cartpole(num_envs: int, **kwargs: Any) -> Any:
    """Return EnvPool's CartPole, a ``gymnasium.vector.VectorEnv`` that steps in C++ threads."""
    import envpool

    return envpool.make("CartPole-v1", env_type="gymnasium", num_envs=num_envs, **kwargs)
