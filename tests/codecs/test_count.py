"""Values in free form are counted as exactly as reading them would."""

from __future__ import annotations

from typing import Any

import gymnasium.spaces as gs
import numpy as np
import pytest

from openenv_gym.codecs import pack_freeform
from openenv_gym.codecs.count import check_values
from openenv_gym.errors import InvalidRequestError

VALUES: dict[str, tuple[Any, int]] = {
    "atoms": ([None, True, False, 1, -1, 0.5], 7),
    "integers": ([127, 128, 2**8, 2**16, 2**32, -33, -129, -(2**15) - 1, -(2**31) - 1], 10),
    "texts": (["", "a" * 31, "a" * 32, "a" * 256, "a" * 2**16], 6),
    "bytes": ([b"", b"\x80" * 255, b"\x80" * 2**8, b"\x80" * 2**16], 5),
    "arrays": ([[], [0] * 15, [0] * 16, [0] * 2**16], 1 + 1 + 16 + 17 + 2**16 + 1),
    "maps": ({"a": {}, "b": {str(number): 0 for number in range(100)}}, 5 + 200),
    "an array of numpy": ([np.full(1000, 0x80, np.uint8), np.float32(1)], 3),
    "arrays of numpy": ([np.full(size, 0x80, np.uint8) for size in range(70)], 71),
    "a tuple": (((), (1,), ((2, 3), 4)), 2 + 2 + 3 + 2 * 2 + 3),
    "a large integer": ([2**70], 2),
    "objects": (np.array([None, "a"], object), 1 + 1 + 1 + 1 + 1 + 2),
    "a graph": (gs.GraphInstance(np.zeros((2, 1)), None, None), 2 + 3),
}


@pytest.mark.parametrize(("value", "count"), VALUES.values(), ids=VALUES)
def test_as_many_values_are_counted_as_there_are(value: Any, count: int):
    payload = pack_freeform(value)
    check_values(payload, count)
    with pytest.raises(InvalidRequestError, match=f"expected at most {count - 1} values"):
        check_values(memoryview(payload), count - 1)


@pytest.mark.parametrize("end", range(1, 200, 7))
def test_a_payload_that_is_cut_is_counted_to_its_end(end: int):
    payload = pack_freeform([np.zeros(9), "text", (1, {"a": b"b" * 300}), 2**70, [0.5] * 9])
    check_values(payload[:end], 40)
