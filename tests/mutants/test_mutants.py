"""The list of mutants fits the code, so that it can be run at any time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.mutants.mutants import MUTANTS
from tests.test_layers import LAYER_OF_ROOM

ROOT = Path(__file__).parents[2]


def test_there_are_sixty_mutants_and_one_for_each_room():
    assert len(MUTANTS) >= 60
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    rooms = {Path(mutant.file).parts[1].removesuffix(".py") for mutant in MUTANTS}
    assert set(LAYER_OF_ROOM) - rooms == set()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_one_place_and_names_tests_that_there_are(mutant):
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1
    compile(text.replace(mutant.old, mutant.new), mutant.file, "exec")
    assert mutant.new != mutant.old
    for test in mutant.tests:
        file, _, function = test.partition("::")
        tests = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {function or 'test_'}", tests, re.MULTILINE), test
