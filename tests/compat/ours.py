"""Environments of ours, for the ``create_app`` of OpenEnv."""

from __future__ import annotations

from examples.own_environment.environment import EchoEnvironment
from examples.own_environment.models import EchoAction, EchoObservation

SERVED = (EchoEnvironment, EchoAction, EchoObservation)
