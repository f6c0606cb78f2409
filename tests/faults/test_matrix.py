"""Every kind of fault, in every class of environments, over every transport, in every isolation.

Each place is played in once, with all kinds at the same time, and each sub-environment is then
compared with one in process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import pytest

from openenv_gym.conformance.difference import first_difference
from openenv_gym.envs.faults import FaultPolicy
from openenv_gym.sb3 import OpenEnvVecEnv
from openenv_gym.wire.fault_info import seed_after_fault
from tests.faults.kinds import (
    BYSTANDERS,
    DEADLINE_S,
    FAULT,
    FIRST_SEED,
    LIMITS,
    NUM_ENVS,
    PLANNED,
    STEPS,
    WORLD,
    Planned,
    Told,
    expected,
    plan,
)
from tests.faults.leaks import Leaks
from tests.faults.streams import Began, Event, Streams, of_sb3, of_singles, of_vector

pytestmark = [
    pytest.mark.timeout(300),  # the first test of a place waits for what hangs
    pytest.mark.filterwarnings("ignore:.*the connection was lost; making a new one"),
]

PATIENT = FaultPolicy(restarts=1000, max_backoff_s=0)
_INSIDE = ("remote_traceback", "stderr_tail")  # these say where, with names of files and processes


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where faults are to happen.

    Attributes:
        transport: ``embedded``, ``binary`` or ``json``.
        kind: The class: ``single``, ``sb3``, or the autoreset mode of a vector environment.
        isolation: Of the server.
    """

    transport: str
    kind: str
    isolation: str = "process"

    @property
    def is_harmless(self) -> bool:
        """Whether environments live in the process of the server."""
        return self.isolation != "process"

    @property
    def lost_reset(self) -> str:
        """What becomes of a reset that ends its session."""
        if self.transport == "json" or self.kind in ("single", "Disabled"):
            return "made again"
        return "in" if self.kind == "NextStep" else "with"

    def seeds(self, number: int) -> tuple[int, int]:
        """The seed of a sub-environment, and that after its fault."""
        own = FIRST_SEED + number
        base = own if self.kind in ("single", "sb3") else FIRST_SEED
        return own, seed_after_fault(base, 0 if self.kind == "single" else number, 1)

    def make(self, **where: Any) -> Any:
        """Return the environments."""
        if self.transport == "embedded":
            where = {"env_id": FAULT, "plan": plan(), "timeout_s": DEADLINE_S, **WORLD}
        name = "gymnasium" if self.transport == "embedded" else "remote"
        arguments = {"id": f"openenv/{name}-v0", "on_fault": PATIENT, **where}
        if self.transport == "json":
            arguments["codec"] = "json"
        if self.kind == "single":
            return [gym.make(**arguments) for _ in range(NUM_ENVS)]
        if self.transport != "json":
            arguments["shards"] = NUM_ENVS
        if self.kind == "sb3":
            return OpenEnvVecEnv(arguments.pop("id"), NUM_ENVS, **arguments)
        return gym.make_vec(num_envs=NUM_ENVS, autoreset_mode=self.kind, **arguments)

    def play(self, envs: Any) -> Streams:
        """Return what the environments say."""
        of = {"single": of_singles, "sb3": of_sb3}.get(self.kind, of_vector)
        return of(envs, FIRST_SEED, STEPS)

    def __str__(self) -> str:
        """Like ``binary-NextStep``."""
        isolation = [self.isolation] if self.is_harmless else []
        return "-".join([self.transport, self.kind, *isolation])


MODES = ("NextStep", "SameStep", "Disabled")
SHORT = [
    Place(transport="embedded", kind="NextStep"),
    Place(transport="embedded", kind="sb3"),
    Place(transport="binary", kind="SameStep"),
    Place(transport="binary", kind="single"),
    Place(transport="json", kind="NextStep"),
    Place(transport="binary", kind="Disabled", isolation="inline"),
    Place(transport="json", kind="single", isolation="thread"),
]
EVERY = [
    *(Place(transport="embedded", kind=kind) for kind in (*MODES, "sb3")),
    *(
        Place(transport=transport, kind=kind, isolation=isolation)
        for isolation in ("process", "thread", "inline")
        for transport, kinds in (("binary", (*MODES, "sb3")), ("json", MODES))
        for kind in (*kinds, "single")
    ),
]
LONG = [
    pytest.param(place, marks=pytest.mark.fault_matrix) for place in EVERY if place not in SHORT
]


@dataclass(frozen=True, kw_only=True)
class Played:
    """What came of a place."""

    place: Place
    streams: Streams
    left: list[str]

    def check(self, number: int, planned: Planned | None = None) -> None:
        """Compare a sub-environment with one in process."""
        told = Told() if planned is None else planned.told[self.place.transport]
        events = [_without(event) for event in self.streams[number]]
        awaited = expected(planned, told, *self.place.seeds(number), self.place.lost_reset)
        awaited = [_without(event) for event in awaited[: len(events)]]
        assert first_difference(awaited, events) is None
        has_fault = sum("fault" in event.info.get("openenv", {}) for event in events)
        assert has_fault == sum("fault" in event.info.get("openenv", {}) for event in awaited)


def _without(event: Event) -> Event:
    info = dict(event.info)
    if "openenv" in info:
        said = {key: value for key, value in info["openenv"].items() if key not in _INSIDE}
        info["openenv"] = dict(sorted(said.items()))
    return event._replace(info=dict(sorted(info.items())))


@pytest.fixture(scope="module", params=[*SHORT, *LONG], ids=str)
def played(request: pytest.FixtureRequest, serve: Callable[..., Any]) -> Iterator[Played]:
    """What is played in one place; the tests of a place are run together."""
    place: Place = request.param
    where: dict[str, Any] = {}
    server = None
    if place.transport != "embedded":
        kwargs = json.dumps({"plan": plan(is_harmless=place.is_harmless), **WORLD})
        isolation = f"--isolation={place.isolation}"
        server = serve(FAULT, "--kwargs", kwargs, isolation, *LIMITS)
        where["base_url"] = server.base_url
    leaks = Leaks(server)
    envs = place.make(**where)
    streams = place.play(envs)
    for each in envs if isinstance(envs, list) else [envs]:
        each.close()
    yield Played(place=place, streams=streams, left=leaks.found())


@pytest.mark.parametrize("planned", PLANNED, ids=lambda planned: planned.name)
def test_a_fault_is_one_truncation_and_the_next_session_is_fresh(planned: Planned, played: Played):
    if played.place.is_harmless and not planned.is_harmless:
        planned = None  # it would be the end of the server, and was not in the plan
    played.check(PLANNED.index(planned) + 1 if planned else 0, planned)


@pytest.mark.parametrize("number", BYSTANDERS)
def test_bystanders_play_as_without_faults(number: int, played: Played):
    played.check(number)
    assert sum(type(event) is Began for event in played.streams[number]) >= 4


def test_nothing_is_left(played: Played):
    assert played.left == []
