"""Steps a second and bytes a step, over the number of sub-environments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from benchmarks.raw_sockets import MessageSizes
from benchmarks.vector_cases import case, embedded, native, sync
from benchmarks.vector_limits import raw_tcp, websocket_sizes
from benchmarks.vector_rounds import Group, GroupResult, measure
from benchmarks.workload import ENV_ID
from openenv_gym.launchers import ServerProcess

SIZES = (1, 4, 16, 64, 256, 1024)
NATIVE = "native"
_FEWEST_STEPS, _MOST_STEPS = 20, 1000


class Point(NamedTuple):
    """What was measured with one number of sub-environments.

    Attributes:
        sync: Sub-environments one after the other.
        native: The vector form of CartPole.
        sync_bytes: A step of all of them, on the wire.
        native_bytes: Likewise.
    """

    sync: GroupResult
    native: GroupResult
    sync_bytes: MessageSizes
    native_bytes: MessageSizes

    @property
    def num_envs(self) -> int:
        return self.sync.group.num_envs


def measure_curve(
    sizes: Sequence[int], rounds: int, env_steps: int, say: Callable[[str], None]
) -> list[Point]:
    """Measure each number of ``sizes``, with about ``env_steps`` steps a round."""
    with ExitStack() as stack:
        url = stack.enter_context(ServerProcess(ENV_ID)).base_url
        return [_point(url, size, rounds, env_steps, say) for size in sizes]


def _point(
    url: str, num_envs: int, rounds: int, env_steps: int, say: Callable[[str], None]
) -> Point:
    steps = min(max(env_steps // num_envs, _FEWEST_STEPS), _MOST_STEPS)
    loops = Group(
        name=f"sync{num_envs}",
        label=f"curve, CartPole x{num_envs}",
        num_envs=num_envs,
        steps=steps,
        cases=[
            case("limit", "in_process", "in process", lambda: sync(ENV_ID, num_envs)),
            case("ours", "embedded", "embedded", lambda: embedded(num_envs)),
            case("ours", "ws", "WebSocket over TCP", lambda: embedded(num_envs, base_url=url)),
        ],
    )
    arrays = Group(
        name=f"native{num_envs}",
        label=f"curve, CartPole x{num_envs}, vector form",
        num_envs=num_envs,
        steps=min(4 * steps, _MOST_STEPS),
        cases=[
            case("limit", "in_process", "in process", lambda: native(num_envs)),
            case("limit", "raw_tcp", "raw TCP", lambda: raw_tcp(num_envs, NATIVE)),
            case("ours", "embedded", "embedded", lambda: embedded(num_envs, NATIVE)),
            case("ours", "ws", "WebSocket", lambda: embedded(num_envs, NATIVE, base_url=url)),
        ],
    )
    return Point(
        sync=measure(loops, rounds, say),
        native=measure(arrays, rounds, say),
        sync_bytes=websocket_sizes(num_envs, "sync"),
        native_bytes=websocket_sizes(num_envs, NATIVE),
    )
