"""Step 3: the client knows its models by its type parameters, and needs nothing else."""

from __future__ import annotations

from openenv_gym import OpenEnvClient

from .models import EchoAction, EchoObservation, EchoState


class EchoClient(OpenEnvClient[EchoAction, EchoObservation, EchoState]):
    """A session with the echo environment."""
