"""An environment without any package, for an interpreter that has numpy alone."""

from __future__ import annotations

import sys


class Space:
    def __init__(self, n):
        self.n = n

    def sample(self):
        return 0

    def contains(self, value):
        return 0 <= value < self.n


class Unseeded:
    action_space = Space(2)
    observation_space = Space(2)
    _private = 7

    def reset(self):
        return 0

    def step(self, action):
        return 0, 0.0, False, {}


class Spaceless:
    def __init__(self, size):
        self.size = size

    def reset(self):
        return [0.0]

    def step(self, action):
        return [action * self.size], 0.0, False, {}


class Plain:
    action_space = Space(2)
    observation_space = Space(1000)

    def reset(self, seed=None):
        self.at = seed or 0
        return self.at

    def step(self, action):
        self.at += int(action)
        return self.at, 0.5, False, {"modules": sorted(set(sys.modules) & {"gym", "gymnasium"})}
