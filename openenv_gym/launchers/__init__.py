"""Launchers start the process that an environment runs in: an embedded worker, or a server."""

from openenv_gym.launchers.subprocess import ServerProcess

__all__ = ["ServerProcess"]
