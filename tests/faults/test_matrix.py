"""Every kind of fault, in every class of environments, over every transport, in every isolation.

Each place is played in once, with all kinds at the same time, and each sub-environment is then
compared with one in process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import pytest

from openenv_gym.conformance.difference import first_difference
from openenv_gym.launchers.embedded import EMBEDDED
from openenv_gym.recovery import FaultPolicy, seed_after_fault
from openenv_gym.sb3 import OpenEnvVecEnv
from tests.faults.kinds import (
    BYSTANDERS,
    DEADLINE_S,
    EPISODE_STEPS,
    FAULT,
    FIRST_SEED,
    LIMITS,
    NUM_ENVS,
    PATIENCE_S,
    PLANNED,
    STEPS,
    WORLD,
    Planned,
    Told,
    embedded_plan,
    expected,
    plan,
)
from tests.faults.leaks import Leaks, use_folder
from tests.faults.streams import Began, Event, Streams, of_sb3, of_singles, of_vector

pytestmark = [
    pytest.mark.timeout(600),  # the first test of a place waits for what hangs
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

    def told(self, planned: Planned | None) -> Told:
        """What is to be told of a fault here."""
        is_binary = self.transport != "json"
        if planned is None or (planned.is_bad_observation and self.kind == "single" and is_binary):
            return Told()  # with no batch to fit into, an observation arrives as it was
        return planned.told[self.transport]

    def make(self, **where: Any) -> Any:
        """Return the environments."""
        if self.transport == "embedded":
            where = {"env_id": FAULT, "plan": embedded_plan(), "timeout_s": PATIENCE_S, **WORLD}
        name = "gymnasium" if self.transport == "embedded" else "remote"
        arguments = {"id": f"openenv/{name}-v0", "on_fault": PATIENT, **where}
        if self.transport == "json":
            arguments["codec"] = "json"
        if self.kind == "single":
            return [gym.make(**arguments) for _ in range(NUM_ENVS)]
        if self.transport != "json":
            arguments["shards"] = NUM_ENVS
        if self.kind == "sb3":
            envs: Any = OpenEnvVecEnv(arguments.pop("id"), NUM_ENVS, **arguments)
        else:
            envs = gym.make_vec(num_envs=NUM_ENVS, autoreset_mode=self.kind, **arguments)
        if self.transport == "embedded":
            inner = envs._envs if self.kind == "sb3" else envs
            hurry([shard.connection for shard in inner._shards])
        return envs

    def play(self, envs: Any) -> Streams:
        """Return what the environments say."""
        if self.kind == "single":
            return of_singles(envs, range(FIRST_SEED, FIRST_SEED + NUM_ENVS), STEPS)
        return (of_sb3 if self.kind == "sb3" else of_vector)(envs, FIRST_SEED, STEPS)

    def __str__(self) -> str:
        """Like ``binary-NextStep``."""
        isolation = [self.isolation] if self.is_harmless else []
        return "-".join([self.transport, self.kind, *isolation])


def hurry(connections: Iterable[Any]) -> None:
    """Wait less long for these sessions, in which all hangs are; those made anew take longer."""
    for connection in connections:
        connection.timeout_s = DEADLINE_S


MODES = ("NextStep", "SameStep", "Disabled")
# Each codec and each isolation; what other files do not try as thoroughly. Embedded, each fault
# starts an interpreter, which takes long; test_campaign does that, with Stable-Baselines3 too.
SHORT = [
    Place(transport="json", kind="NextStep"),
    Place(transport="binary", kind="SameStep", isolation="inline"),
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
PLACES = [*SHORT, *(place for place in EVERY if place not in SHORT)]


def marks(place: Place) -> Any:
    """What says in which tier a place is."""
    return () if place in SHORT else pytest.mark.long


IN_EACH_PLACE = pytest.mark.parametrize(
    "played",
    [pytest.param(place, id=str(place), marks=marks(place)) for place in PLACES],
    indirect=True,
)
CASES = [
    pytest.param(place, planned, id=f"{place}-{planned.name}", marks=marks(place))
    for place in PLACES
    for planned in PLANNED
    # Where environments live in its process, others would be the end of the server.
    if planned.is_harmless or not place.is_harmless
]


@dataclass(frozen=True, kw_only=True)
class Played:
    """What came of a place."""

    place: Place
    streams: Streams
    left: list[str]

    def check(self, number: int, planned: Planned | None = None) -> None:
        """Compare a sub-environment with one in process."""
        told, seeds = self.place.told(planned), self.place.seeds(number)
        awaited = expected(planned, told, *seeds, self.place.lost_reset)
        assert difference(awaited, self.streams[number]) is None


def difference(awaited: list[Event], events: list[Event]) -> str | None:
    """Return the first difference, of faults too, but for what names files and processes."""
    pairs = [[_without(event) for event in some] for some in (awaited[: len(events)], events)]
    return first_difference(*pairs)


def _without(event: Event) -> Event:
    info = dict(event.info)
    if "openenv" in info:
        said = {key: value for key, value in info["openenv"].items() if key not in _INSIDE}
        info["openenv"] = dict(sorted(said.items()))
    return event._replace(info=dict(sorted(info.items())))


@pytest.fixture(scope="module", autouse=True)
def private_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder for temporary files that nobody else writes to, for servers and workers too."""
    with use_folder(tmp_path_factory.mktemp("temporary")):
        yield


def play(place: Place, serve: Callable[..., Any]) -> Played:
    """Play in a place, and look at what is left then."""
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
    return Played(place=place, streams=streams, left=leaks.found())


@pytest.fixture(scope="module")
def known() -> dict[Place, Played | None]:
    """What came of the places where something was played."""
    return {}


@pytest.fixture
def played(request: pytest.FixtureRequest, serve: Callable[..., Any], known: Any) -> Played:
    """What came of one place, where the first test that asks plays."""
    place: Place = request.param
    if place not in known:
        known[place] = None
        known[place] = play(place, serve)
    if known[place] is None:
        pytest.fail(f"the first test of {place} says why it could not be played there")
    return known[place]


@pytest.mark.parametrize(("played", "planned"), CASES, indirect=["played"])
def test_a_fault_is_one_truncation_and_the_next_session_is_fresh(played: Played, planned: Planned):
    played.check(PLANNED.index(planned) + 1, planned)


@IN_EACH_PLACE
@pytest.mark.parametrize("number", BYSTANDERS)
def test_bystanders_play_as_without_faults(number: int, played: Played):
    played.check(number)
    assert sum(type(event) is Began for event in played.streams[number]) >= 4


@IN_EACH_PLACE
def test_nothing_is_left(played: Played):
    assert played.left == []


@pytest.mark.long
@pytest.mark.parametrize("planned", PLANNED, ids=lambda planned: planned.name)
def test_embedded_singles_share_a_worker_and_its_end(planned: Planned):
    number = PLANNED.index(planned) + 1
    key = f"{number}/0/{planned.when}"
    where = {"env_id": FAULT, "timeout_s": PATIENCE_S, "on_fault": PATIENT, **WORLD}
    bystander = gym.make("openenv/gymnasium-v0", **where)
    env = gym.make("openenv/gymnasium-v0", plan={key: embedded_plan()[key]}, **where)
    hurry([env.unwrapped._connection])
    streams = of_singles([bystander, env], [FIRST_SEED, FIRST_SEED + number], STEPS)
    env.close()
    bystander.close()
    EMBEDDED.stop()  # of the worker that hangs in a close nothing is left for the next test
    place = Place(transport="embedded", kind="single")
    told = place.told(planned)
    seeds = place.seeds(number)
    assert difference(expected(planned, told, *seeds, place.lost_reset), streams[1]) is None
    # The bystander's next step is the first one that finds the worker gone.
    when = EPISODE_STEPS if planned.when.startswith("reset") else planned.when
    own = None
    if told.fault in ("worker_died", "step_timeout"):
        is_late = told.fault == "step_timeout"
        told = Told(fault="worker_died", signal=9) if is_late else told
        own = replace(planned, name="its worker is gone", when=str(int(when) + 1))
    told = told if own else Told()
    assert difference(expected(own, told, *place.seeds(0), place.lost_reset), streams[0]) is None
