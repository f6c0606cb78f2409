"""Launchers start what an environment runs in: the embedded worker, a server process."""

from openenv_gym.launchers.subprocess import ServerProcess

__all__ = ["ServerProcess"]
