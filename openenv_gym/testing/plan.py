"""A plan of faults by sub-environment, incarnation and time.

A key is ``env/incarnation/when``. ``env`` and ``incarnation`` are numbers from 0. ``when`` is the
number of a step, counted from 1 over all episodes of the incarnation; or ``init``; or ``reset`` for
the first reset, ``reset:2`` for the second; or ``close``. ``*`` stands for any number, and an exact
key goes before one with stars. Of two keys with one star, the one that names the sub-environment
goes first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from openenv_gym.errors import InvalidRequestError
from openenv_gym.testing.faults import PlannedFault, parse_fault

_KEY = re.compile(r"(\d+|\*)/(\d+|\*)/([1-9]\d*|\*|init|reset(?::[1-9]\d*)?|close)")


class Plan:
    """Faults by key.

    Args:
        faults: Faults by key, as :func:`openenv_gym.testing.faults.parse_fault` takes them.

    Raises:
        InvalidRequestError: a key or a fault cannot be read.
    """

    def __init__(self, faults: Mapping[str, Any] | None = None) -> None:
        if faults is not None and not isinstance(faults, Mapping):
            raise InvalidRequestError(
                f"plan: expected a dict like {{'0/0/3': 'abort'}}, got {type(faults).__name__}"
            )
        self._faults: dict[tuple[str, str, str], PlannedFault] = {}
        for key, value in (faults or {}).items():
            match = _KEY.fullmatch(key) if isinstance(key, str) else None
            if match is None:
                raise InvalidRequestError(
                    "plan: expected keys like '0/0/3' (env/incarnation/step), with init, reset, "
                    f"reset:2 or close for the step where wanted, got {key!r}"
                )
            env, incarnation, when = match.groups()
            if when == "reset:1":
                when = "reset"
            self._faults[env, incarnation, when] = parse_fault(value, key)

    def of(self, env: int, incarnation: int) -> dict[str, PlannedFault]:
        """Return the faults of one incarnation of one sub-environment, by ``when``."""
        chosen: dict[str, PlannedFault] = {}
        for own in (
            ("*", "*"),
            ("*", str(incarnation)),
            (str(env), "*"),
            (str(env), str(incarnation)),
        ):
            for (*place, when), fault in self._faults.items():
                if tuple(place) == own:
                    chosen[when] = fault
        return chosen
