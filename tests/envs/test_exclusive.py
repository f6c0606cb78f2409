"""One thread at a time uses an object, and each gives it back, also after an error."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from openenv_gym.envs.exclusive import ExclusiveUse, exclusive
from openenv_gym.errors import ConcurrentCallError


class Used:
    def __init__(self) -> None:
        self._use = ExclusiveUse()

    @exclusive
    def call(self, number: int) -> float:
        return 1 / number

    @exclusive
    def call_elsewhere(self, number: int) -> float:
        with ThreadPoolExecutor(1) as other:
            return other.submit(self.call, number).result()


@pytest.mark.parametrize("number", [1, 0])
def test_who_has_used_it_gives_it_back(number: int):
    used = Used()
    try:
        used.call(number)
    except ZeroDivisionError:
        assert number == 0
    with ThreadPoolExecutor(1) as other:
        assert other.submit(used.call, 2).result() == 0.5


def test_who_comes_meanwhile_is_refused():
    with pytest.raises(ConcurrentCallError, match="called while 'MainThread' waits"):
        Used().call_elsewhere(1)
