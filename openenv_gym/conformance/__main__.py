"""Judges one environment; see :mod:`openenv_gym.conformance.survey`."""

import sys

from openenv_gym.conformance.survey import main

if __name__ == "__main__":
    main(sys.argv[1])
