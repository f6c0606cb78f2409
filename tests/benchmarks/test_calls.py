"""``python -m benchmarks calls``: what it counts."""

from typing import Any

from benchmarks.calls import calls_per_step, measured


class Doubling:
    """Its step calls ``inner`` twice, and every tenth step ends the episode and calls it more."""

    steps = 0

    def reset(self, seed: int) -> None:
        self.inner()

    def step(self, action: int) -> tuple[Any, ...]:
        self.steps += 1
        is_over = self.steps % 10 == 0
        for _ in range(2 + is_over):
            self.inner()
        abs(action)  # a function of C
        return None, 0.0, is_over, False, {}

    def inner(self) -> None:
        pass


def test_calls_of_steps_are_counted_and_nothing_else():
    found = calls_per_step(Doubling(), [0, 1], 20)
    assert {name: count for (_, name), count in found.items()} == {
        "Doubling.step": 1,
        "Doubling.inner": 2,
    }


def test_both_steps_are_watched_on_the_side_of_the_trainer():
    (_, single), (_, vector) = measured(20, 8)
    for calls in (single, vector):
        assert calls["openenv_gym.protocol.framing", "FrameReader.feed"] == 1
        assert not any("workers" in file or "adapters" in file for file, _ in calls)
    assert sum(vector.values()) > sum(single.values()) > 20
