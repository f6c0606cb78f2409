"""``make fuzz``: half of the time for what reads bytes, half for a server.

``python -m tests.fuzz [SECONDS]`` ends with 1 where something was found, and says what.
"""

from __future__ import annotations

import sys

from tests.fuzz import decoders, server

SECONDS = 600.0


def main() -> int:
    """Fuzz, and say what was found."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    finds = [*decoders.fuzz(seconds / 2), *server.fuzz(seconds / 2)]
    for find in finds:
        print(f"\nFOUND {find}")
    print(f"{len(finds)} finds")
    return int(bool(finds))


if __name__ == "__main__":
    sys.exit(main())
