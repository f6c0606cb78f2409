"""Step 4: the application that serves it, ``uvicorn examples.own_environment.app:app``."""

from __future__ import annotations

from openenv_gym import create_app

from .environment import EchoEnvironment
from .models import EchoAction, EchoObservation

app = create_app(EchoEnvironment, EchoAction, EchoObservation, env_name="echo")
