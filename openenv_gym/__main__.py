"""``python -m openenv_gym``."""

import sys

from openenv_gym.cli import main

if __name__ == "__main__":
    sys.exit(main())
