"""OpenSpiel's Catch, for the ``create_app`` of OpenEnv."""

from __future__ import annotations

from openenv_gym import typed_environment

SERVED = typed_environment("openspiel:catch")
