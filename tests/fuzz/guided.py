"""Fuzzes one target with Atheris, in a process of its own.

The arguments of ``python -m tests.fuzz.guided`` are the name of the target, options of libFuzzer,
and the folder of the corpus. The process ends with 0 where nothing was found; else it has printed
the traceback, and written the input to a file.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Fuzz until libFuzzer's options say to stop."""
    import atheris  # which is not where the tests run

    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["openenv_gym", "tests.fuzz"]):
        from tests.fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
