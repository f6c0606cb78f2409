"""Judges one environment in a process that :mod:`openenv_gym.conformance.survey` starts."""

import sys

from openenv_gym.conformance.survey import main

if __name__ == "__main__":
    main(sys.argv[1])
