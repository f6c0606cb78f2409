"""The inputs with which ``make fuzz`` begins are read or refused."""

from __future__ import annotations

import pytest

from tests.fuzz.targets import TARGETS, seeds


@pytest.mark.parametrize("target", TARGETS)
def test_what_a_fuzzer_begins_with_is_read_whole_and_refused_or_read_cut(target: str):
    for data in seeds(target):
        for end in (len(data), len(data) // 2, 1, 0):
            TARGETS[target](data[:end])
