"""Products of parameters, of which ``make test`` takes what shows every pair of values.

A fault that needs three values at once to show is rare, and ``make test-long`` takes all of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import pytest


def in_pairs(indirect: Sequence[str] = (), **axes: Iterable[object]) -> pytest.MarkDecorator:
    """Parametrize a test with a product, most of which is marked as ``long``.

    Args:
        indirect: Names of axes that are fixtures.
        **axes: The values of each parameter.
    """
    values = [list(axis) for axis in axes.values()]
    rows = list(itertools.product(*(range(len(axis)) for axis in values)))
    chosen = covering(rows)
    params = [
        pytest.param(
            *(axis[number] for axis, number in zip(values, row, strict=True)),
            marks=() if row in chosen else pytest.mark.long,
        )
        for row in rows
    ]
    return pytest.mark.parametrize(list(axes), params, indirect=list(indirect))


def covering(rows: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return rows in which every two values stand together that do so in any of ``rows``."""
    chosen = []
    missing = set().union(*map(pairs_of, rows))
    while missing:
        chosen.append(max(rows, key=lambda row: len(pairs_of(row) & missing)))
        missing -= pairs_of(chosen[-1])
    return chosen


def pairs_of(row: tuple[int, ...]) -> set[tuple[tuple[int, int], ...]]:
    """Return each two columns of a row, with their values."""
    return set(itertools.combinations(enumerate(row), 2))
