"""Any OpenEnv server is a ``gymnasium.Env``: real sockets, plain schemas, one session at a time."""

from __future__ import annotations

import base64
import copy
import io
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces as gs
from gymnasium.utils.env_checker import check_env

from openenv_gym import inspect
from openenv_gym.endpoints import ConnectOptions, probing
from openenv_gym.errors import (
    CapacityError,
    InvalidRequestError,
    NotOpenEnvError,
    RemoteEnvError,
    SpaceError,
)
from openenv_gym.spaces.probing import Probed
from openenv_gym.spaces.unicode_text import UnicodeText
from tests.support.plain_server import (
    Plain,
    action_schema,
    observation_schema,
    observed,
    serving,
)

INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
TEXT = {"type": "string"}
FREE = {"type": "object", "additionalProperties": True}
NULL = {"type": "null"}


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


MOVE = action_schema("move", move={**INTEGER, "minimum": 0, "maximum": 2})


@contextmanager
def made(server: Plain, **keywords: Any) -> Iterator[gym.Env[Any, Any]]:
    with serving(server) as url:
        env = gym.make("openenv/remote-v0", base_url=url, **keywords)
        try:
            yield env
        finally:
            env.close()


def seeing(schema: dict[str, Any], action: dict[str, Any] = MOVE, **fields: Any) -> Plain:
    """A server whose observation is always the same, and whose episodes have four steps."""
    return Plain(
        action=action,
        observation=schema,
        reset=lambda data, number: observed(**fields),
        step=lambda data, number: observed(number >= 4, 1.0, **fields),
    )


def checked(env: gym.Env[Any, Any]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*(infinity|precision|Casting|too (low|high)).*")
        warnings.filterwarnings("ignore", ".*Box (action|observation) space.*")
        check_env(env.unwrapped)


SPEC = {"shape": [2], "dtype": "float64", "minimum": [-1.0, -2.0], "maximum": [1.0, None]}
CALL = {
    "type": "object",
    "properties": {
        "kind": {"const": "call", "type": "string", "default": "call"},
        "name": TEXT,
        "metadata": FREE,
    },
    "required": ["name"],
}
WAIT = {
    "type": "object",
    "properties": {"kind": {"const": "wait", "type": "string"}, "seconds": INTEGER},
    "required": ["kind", "seconds"],
}


def control() -> Plain:
    """As dm_control's server: specs in the state, arrays in a free dict, flat."""
    schema = observation_schema(
        observations={"type": "object", "additionalProperties": array(NUMBER)},
        pixels={"anyOf": [TEXT, NULL]},
    )
    server = seeing(
        schema,
        action_schema(values=array(NUMBER)),
        observations={"position": [0.5, 1.0, 2.0, 3.0], "speed": [0.0]},
        pixels=None,
    )
    server.state = {
        "action_spec": SPEC,
        "observation_spec": {
            "position": {"shape": [2, 2], "dtype": "float64"},
            "speed": {"shape": [1], "dtype": "float64"},
        },
    }
    return server


SERVERS: dict[str, Any] = {
    "text": lambda: seeing(observation_schema("said", said=TEXT), action_schema("say", say=TEXT),
                           said="naïve 🙂"),
    "numbers": lambda: seeing(observation_schema("pos", pos=array(NUMBER)), pos=[1, 2.5]),
    "grid": lambda: seeing(observation_schema("grid", grid=array(array(array(INTEGER)))),
                           grid=[[[1, 2], [3, 4]]]),
    "dict": lambda: seeing(
        observation_schema("a", "b", "c", a=INTEGER, b=TEXT, c=array(TEXT),
                           d={"anyOf": [TEXT, NULL]}, e=FREE),
        a=1, b="ß", c=["x", "y"], d=None, e={"k": [1]}),
    "models": lambda: seeing(
        {**observation_schema("said", said=array({"$ref": "#/$defs/Said"})),
         "$defs": {"Said": {"type": "object", "properties": {"role": TEXT, "n": INTEGER}}}},
        said=[{"role": "user", "n": 3}]),
    "legal": lambda: seeing(
        observation_schema("board", "legal_actions", board=array(array(INTEGER)),
                           legal_actions=array(INTEGER)),
        action_schema("cell", cell=INTEGER), board=[[0, 1], [0, 0]], legal_actions=[0, 2, 3]),
    "mask": lambda: seeing(
        observation_schema("pos", "action_mask", pos=NUMBER, action_mask=array(INTEGER)),
        action_schema("cell", cell=INTEGER), pos=0.5, action_mask=[1, 0, 1, 1]),
    "control": control,
    "union": lambda: seeing(observation_schema("n", n=INTEGER), {"oneOf": [
        {**CALL, "required": ["kind", "name"]}, WAIT]}, n=4),
    "several": lambda: seeing(observation_schema("n", n=INTEGER),
                              action_schema("x", "y", x=NUMBER, y={"enum": ["a", "b"]}), n=4),
    "shape": lambda: seeing(
        observation_schema(screen=array(INTEGER), screen_shape=array(INTEGER)),
        screen=list(range(12)), screen_shape=[2, 2, 3]),
}  # fmt: skip


UNSURE = r"ignore:(?s).*pass action_space=:UserWarning"  # told when it is made, see below


@pytest.mark.single_env
@pytest.mark.filterwarnings(UNSURE)
@pytest.mark.parametrize("name", SERVERS)
def test_check_env_passes_on_every_kind_of_server(name: str):
    if name == "union" and not hasattr(gs, "OneOf"):
        pytest.skip("Gymnasium has OneOf since 1.0")
    server = SERVERS[name]()
    with made(server) as env:
        checked(env)
        assert server.sessions <= 1


def test_what_no_space_can_hold_and_what_is_optional_goes_to_info_whole():
    with made(SERVERS["dict"]()) as env:
        assert list(env.observation_space) == ["a", "b", "c"]
        obs, info = env.reset()
        assert (obs["a"], obs["b"], obs["c"]) == (1, "ß", ("x", "y"))
        assert info == {"d": None, "e": {"k": [1]}}


@pytest.mark.skipif(not hasattr(gs, "OneOf"), reason="Gymnasium has OneOf since 1.0")
def test_what_is_optional_is_observed_when_asked_for():
    with made(SERVERS["dict"](), observation_key=["b", "d"]) as env:
        obs, info = env.reset()
        assert obs == {"b": "ß", "d": (1, 0)}
        assert info == {"a": 1, "c": ["x", "y"], "e": {"k": [1]}}
    with (
        pytest.raises(SpaceError, match=r"^\$\.observation\.e: .*observation_space="),
        made(SERVERS["dict"](), observation_key="e"),
    ):
        pass


def test_a_probe_is_made_only_where_something_is_open_and_closed_before_anything_else():
    closed = SERVERS["text"]()
    with made(closed):
        assert closed.received == []
    open_ = SERVERS["numbers"]()
    with made(open_) as env:
        assert [message["type"] for message in open_.received] == ["reset", "state", "close"]
        assert open_.said("reset") == [{}]
        assert env.observation_space == gs.Box(-np.inf, np.inf, (2,), np.float64)
        env.reset(seed=3)
        assert open_.said("reset")[1:] == [{"seed": 3}]
        copies = pickle.loads(pickle.dumps(env.unwrapped)), copy.deepcopy(env.unwrapped)
        for copied in copies:
            assert copied.observation_space == env.observation_space
        env.unwrapped.close()
        assert copies[0].reset()[0].tolist() == [1.0, 2.5]
        assert len(open_.said("reset")) == 3
        copies[0].close()


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (RuntimeError("no data"), RemoteEnvError, "no data"),
        ({"reward": 1}, NotOpenEnvError, "expected an observation"),
        ({"observation": [1]}, NotOpenEnvError, "expected an observation"),
    ],
    ids=str,
)
def test_a_probe_that_is_refused_is_an_error_that_says_how_to_do_without(answer, error, text):
    def reset(data: Any, number: int) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    server = SERVERS["numbers"]()
    server.reset = reset
    with (
        pytest.raises(error, match=rf"^\$\.observation\.pos: .*{text}.*observation_space="),
        made(server),
    ):
        pass
    with made(server, observation_space=gs.Box(-1, 9, (2,), np.float64)) as env:
        assert env.observation_space.shape == (2,)


def test_so_many_probes_are_remembered_and_no_more():
    seen = Probed(observation={"n": 1})
    recent = probing.RecentProbes(lambda connect, timeout_s: seen)
    for number in (*range(100), 50):
        assert recent.probe((str(number), ""), lambda: None, None) is seen
    kept = [int(address) for address, _ in recent._seen]
    assert kept == [*range(36, 50), *range(51, 100), 50]


def test_a_probe_without_a_free_session_is_an_error():
    server = SERVERS["numbers"]()
    server.max_sessions = 0
    with (
        pytest.raises(CapacityError, match=r"probing reset.*at capacity.*observation_space="),
        made(server),
    ):
        pass


@pytest.mark.parametrize("status", [500, 404])
def test_without_schemas_the_observation_is_probed(status: int):
    server = Plain(
        action=None,
        observation=None,
        schema_status=status,
        reset=lambda data, number: observed(pos=[0.0, 1.0], name="ü"),
        step=lambda data, number: observed(number >= 4, 1.0, pos=[data["go"], 1.0], name="ü"),
    )
    with serving(server) as url:
        with pytest.raises(SpaceError, match=r"^\$\.action: .*action_key="):
            gym.make("openenv/remote-v0", base_url=url)
        keywords = {"action_key": "go", "action_space": gs.Discrete(3)}
        env = gym.make("openenv/remote-v0", base_url=url, **keywords)
        assert env.observation_space["pos"] == gs.Box(-np.inf, np.inf, (2,), np.float64)
        checked(env)
        env.reset()
        assert env.step(2)[0]["pos"].tolist() == [2.0, 1.0]
        env.close()


def test_a_known_environment_without_schemas_has_its_profile():
    server = Plain(
        action=None,
        observation=None,
        reset=lambda data, number: observed(stdout="", stderr="", exit_code=0),
        step=lambda data, number: observed(stdout=data["code"], stderr="", exit_code=0),
    )
    with made(server) as env:
        assert env.action_space == UnicodeText()
        env.reset()
        assert env.step("é")[0]["stdout"] == "é"


def test_neither_schema_nor_session_is_no_openenv_server():
    server = Plain(action=None, observation=None, reset=lambda *a: {}, step=lambda *a: {})
    with (
        pytest.raises(NotOpenEnvError, match=r"got HTTP 500.*a reset over /ws does not help"),
        made(server),
    ):
        pass


def test_a_reset_that_misses_required_fields_is_blank_and_says_so():
    schema = observation_schema("text", "n", "v", text=TEXT, n=INTEGER, v=array(NUMBER))
    server = Plain(
        action=MOVE,
        observation=schema,
        reset=lambda data, number: observed(),
        step=lambda data, number: observed(text="t", n=3, v=[1.0, 2.0]),
    )
    with made(server) as env:
        checked(env)
        obs, info = env.reset()
        assert (obs["text"], obs["n"], obs["v"]) == ("", 0, ())
        assert info == {"missing": ["text", "n", "v"]}
        obs, *_, info = env.step(0)
        assert (obs["text"], obs["n"]) == ("t", 3) and info == {}
        server.step = lambda data, number: observed(text="t", v=[])
        with pytest.raises(NotOpenEnvError, match=r"\$\.data\.observation: .*'n'"):
            env.step(0)


def test_a_list_that_changes_its_length_is_an_error_or_a_sequence():
    def growing() -> Plain:
        return Plain(
            action=MOVE,
            observation=observation_schema("seen", seen=array(INTEGER)),
            reset=lambda data, number: observed(seen=[7, 8]),
            step=lambda data, number: observed(seen=[7, 8] + [9] * number),
        )

    with made(growing()) as env:
        env.reset()
        with pytest.raises(
            InvalidRequestError,
            match=r"^\$\.data\.observation\.seen: expected shape \(2,\).*probing reset.*Sequence",
        ):
            env.step(0)
        assert env.reset()[0].tolist() == [7, 8]
    with made(growing(), observation_space=gs.Sequence(gs.Discrete(10))) as env:
        env.reset()
        assert env.step(0)[0] == (7, 8, 9)
        assert env.step(0)[0] == (7, 8, 9, 9)


@pytest.mark.filterwarnings(UNSURE)
def test_legal_actions_give_bounds_and_masks():
    with made(SERVERS["legal"]()) as env:
        assert env.action_space == gs.Discrete(4)
        info = env.reset()[1]
        assert info["legal_actions"] == [0, 2, 3]
        assert env.unwrapped.action_masks().tolist() == [True, False, True, True]
    server = SERVERS["legal"]()
    with made(server, action_space=gs.Discrete(9)) as env:
        env.reset()
        assert env.unwrapped.action_masks().tolist() == [i in (0, 2, 3) for i in range(9)]
    server.step = lambda data, number: observed(board=[[0, 0], [0, 0]], legal_actions=[4])
    with made(server) as env:
        env.reset()
        with pytest.raises(InvalidRequestError, match=r"from 0 to 3, got \[4\]; .*Discrete\(n\)"):
            env.step(0)


MASKS: list[tuple[Any, str | None, Any, list[bool] | None]] = [
    ([1, 0, 1, 1], None, 4, [True, False, True, True]),
    ([0, 2, 3], None, 4, [True, False, True, True]),
    ([True, False], None, 2, [True, False]),
    ([0, 1], None, None, None),
    ([0, 1], "indices", 2, [True, True]),
    ([0, 1], "mask", 2, [False, True]),
    ([], None, None, None),
    (None, None, None, None),
]


@pytest.mark.filterwarnings(UNSURE)
@pytest.mark.parametrize(("mask", "means", "n", "legal"), MASKS, ids=str)
def test_a_mask_and_a_list_of_actions_are_told_apart(mask, means, n, legal):
    schema = observation_schema("pos", pos=NUMBER, action_mask=array(INTEGER))
    server = seeing(schema, action_schema("cell", cell=INTEGER), pos=1.0, action_mask=mask)
    with made(server, mask_means=means) as env:
        info = env.reset()[1]
        assert info["action_mask"] == mask
        if legal is None:
            assert isinstance(env.action_space, gs.Box) and "legal_actions" not in info
            assert not hasattr(env.unwrapped, "action_masks")
        else:
            assert env.action_space == gs.Discrete(n)
            assert env.unwrapped.action_masks().tolist() == legal


def png(array: Any, kind: str = "PNG") -> str:
    image = pytest.importorskip("PIL.Image", reason="needs Pillow")
    stream = io.BytesIO()
    image.fromarray(array).save(stream, kind)
    return base64.b64encode(stream.getvalue()).decode()


PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_a_picture_in_base64_is_an_array_of_bytes(prefix: str):
    server = seeing(observation_schema("image", image=TEXT), image=prefix + png(PIXELS))
    with made(server) as env:
        assert env.observation_space == gs.Box(0, 255, (2, 4, 3), np.uint8)
        assert np.array_equal(env.reset()[0], PIXELS)
        checked(env)
        server.step = lambda data, number: observed(image=png(PIXELS[:1]))
        env.reset()
        with pytest.raises(InvalidRequestError, match=r"picture of shape \(2, 4, 3\) in base64"):
            env.step(0)


def test_bare_pixels_lie_as_their_shape_says_and_jpeg_is_read():
    bare = base64.b64encode(PIXELS.tobytes()).decode()
    schema = observation_schema("frame", frame=TEXT, frame_shape=array(INTEGER))
    with made(seeing(schema, frame=bare, frame_shape=[2, 4, 3])) as env:
        assert np.array_equal(env.reset()[0], PIXELS)
    server = seeing(observation_schema("screen", screen=TEXT), screen=png(PIXELS, "JPEG"))
    with made(server) as env:
        assert env.observation_space == gs.Box(0, 255, (2, 4, 3), np.uint8)
    with made(seeing(observation_schema("screen", screen=TEXT), screen="a page")) as env:
        assert env.reset()[0] == "a page"


def test_a_flat_list_has_the_shape_that_stands_beside():
    with made(SERVERS["shape"]()) as env:
        assert env.observation_space == gs.Box(0, 255, (2, 2, 3), np.uint8)
        assert np.array_equal(env.reset()[0], np.arange(12).reshape(2, 2, 3))
    schema = observation_schema(grid=array(NUMBER), grid_shape=array(INTEGER), other=NUMBER)
    with made(seeing(schema, grid=[1, 2.5], grid_shape=[2, 1], other=5)) as env:
        obs, info = env.reset()
        assert obs.tolist() == [[1.0], [2.5]] and info == {"grid_shape": [2, 1], "other": 5}
    with made(seeing(schema, grid=[1, 2.5], grid_shape=[3, 1], other=5)) as env:
        assert env.reset()[0].tolist() == [1.0, 2.5]


def test_specs_in_the_state_give_bounds():
    with made(control()) as env:
        low, high = np.array([-1.0, -2.0]), np.array([1.0, np.inf])
        assert env.action_space == gs.Box(low, high, (2,), np.float64)
        obs, info = env.reset()
        assert obs["position"].tolist() == [[0.5, 1.0], [2.0, 3.0]] and info == {"pixels": None}


@pytest.mark.skipif(not hasattr(gs, "OneOf"), reason="Gymnasium has OneOf since 1.0")
@pytest.mark.filterwarnings(UNSURE)
def test_a_union_of_models_is_one_of_or_one_of_its_models():
    server = SERVERS["union"]()
    with made(server) as env:
        assert isinstance(env.action_space, gs.OneOf)
        env.reset()
        env.step((0, {"kind": 0, "name": "ü"}))
        env.step((1, {"kind": 0, "seconds": np.array(3)}))
    with made(server, fixed_action={"kind": "wait"}) as env:
        env.reset()
        env.step(np.array(5))
    assert server.said("step") == [
        {"kind": "call", "name": "ü"},
        {"kind": "wait", "seconds": 3},
        {"kind": "wait", "seconds": 5},
    ]


ENDS: list[tuple[dict[str, Any], dict[str, Any], tuple[bool, bool]]] = [
    ({}, {}, (True, False)),
    ({"truncated": True}, {}, (False, True)),
    ({"is_truncated": True}, {}, (False, True)),
    ({"metadata": {"TimeLimit.truncated": True}}, {}, (False, True)),
    ({"info": {"TimeLimit.truncated": True}}, {}, (False, True)),
    ({}, {"metadata": {"truncated": True}}, (False, True)),
    ({}, {"truncated": True}, (False, True)),
    ({"info": {"TimeLimit.truncated": False}}, {}, (True, False)),
    ({"terminated": True, "truncated": True}, {}, (True, True)),
    ({"truncated": "soon"}, {}, (True, False)),
]


@pytest.mark.parametrize(("fields", "beside", "expected"), ENDS, ids=str)
def test_done_is_terminated_unless_something_says_truncated(fields, beside, expected):
    server = seeing(observation_schema("n", n=INTEGER), n=1)
    server.step = lambda data, number: {**observed(True, 1.0, n=1, **fields), **beside}
    with made(server) as env:
        env.reset()
        assert env.step(0)[2:4] == expected


def test_a_bare_done_is_what_the_caller_says():
    for means in ("truncated", "terminated"):
        with made(seeing(observation_schema("n", n=INTEGER), n=1), done_means=means) as env:
            env.reset()
            flags = [env.step(0)[2:4] for _ in range(4)]
            assert flags[2] == (False, False)
            assert flags[3] == (means == "terminated", means == "truncated")
    with pytest.raises(InvalidRequestError, match="done_means: expected 'terminated' or"):
        gym.make("openenv/remote-v0", base_url="http://127.0.0.1:9", done_means="over")


@pytest.mark.parametrize(
    ("reward", "inside", "expected"),
    [(None, {}, 0.0), (True, {}, 1.0), (3, {}, 3.0), (0.5, {}, 0.5), (None, {"reward": 2}, 2.0)],
)
def test_every_form_of_a_reward_is_a_float(reward: Any, inside: dict[str, Any], expected: float):
    server = seeing(observation_schema("n", n=INTEGER), n=1)
    server.step = lambda data, number: {
        "observation": {"n": 1, **inside},
        "reward": reward,
        "done": False,
    }
    with made(server) as env:
        env.reset()
        got = env.step(0)[1]
        assert (type(got), got) == (float, expected)


def test_null_among_numbers_is_nan():
    server = seeing(observation_schema("v", "x", v=array(NUMBER), x=NUMBER), v=[1.0, 2.0], x=1)
    server.step = lambda data, number: observed(v=[None, 2.0], x=None)
    with made(server) as env:
        env.reset()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Gymnasium's checker says that NaN is in no Box
            obs = env.step(0)[0]
        assert np.isnan(obs["v"][0]) and obs["v"][1] == 2.0 and np.isnan(obs["x"])


def test_legal_actions_by_name_are_no_mask_and_go_to_info():
    fields = {"n": INTEGER, "legal_actions": array(TEXT)}
    server = seeing(observation_schema("n", **fields), n=1, legal_actions=["up", "down"])
    with made(server) as env:
        assert env.reset()[1]["legal_actions"] == ["up", "down"]
        assert not hasattr(env.unwrapped, "action_masks")


def test_null_where_a_text_belongs_is_an_empty_text():
    server = seeing(observation_schema("text", "n", text=TEXT, n=INTEGER), text="hello", n=1)
    server.step = lambda data, number: observed(text=None, n=2)
    with made(server) as env:
        assert env.reset()[0]["text"] == "hello"
        obs, _, _, _, info = env.step(0)
        assert (obs["text"], info["missing"]) == ("", ["text"])


def test_null_within_a_list_of_messages_is_refused():
    message = {"type": "object", "properties": {"content": TEXT}, "required": ["content"]}
    server = seeing(observation_schema("messages", messages=array(message)), messages=[])
    server.step = lambda data, number: observed(messages=[{"content": None}])
    with made(server) as env:
        env.reset()
        with pytest.raises(InvalidRequestError, match=r"messages\[0\]\.content: expected a string"):
            env.step(0)


def test_a_required_field_of_the_action_that_nobody_says_is_told_at_once():
    server = seeing(observation_schema("n", n=INTEGER), n=1)
    server.action = action_schema("tool", "where", tool=TEXT, where=INTEGER)
    refused = pytest.raises(SpaceError, match=r"got none for where; say .* fixed_action=")
    with refused, made(server, action_key="tool"):
        pass
    with made(server, action_key="tool", fixed_action={"where": 1}) as env:
        env.reset()
        env.step("hammer")
    assert server.said("step") == [{"tool": "hammer", "where": 1}]


@pytest.mark.parametrize("heeds", [True, False])
def test_a_server_that_ignores_seeds_is_told_once_when_asked(heeds: bool):
    server = seeing(observation_schema("n", n=INTEGER), n=1)
    server.reset = lambda data, number: observed(n=data.get("seed", 0) if heeds else number)
    with made(server, check_seeding=True) as env, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for seed in (5, 6):
            env.reset(seed=seed)
    told = [str(each.message) for each in caught if "ignores seeds" in str(each.message)]
    assert len(told) == (0 if heeds else 1)
    twice = [{"seed": 5}, {}, {"seed": 5}, {}]
    another = [{"seed": 1000008}, {}] if heeds else []
    assert server.said("reset") == [*twice, *another, {"seed": 5}, {"seed": 6}]


@pytest.mark.skipif(
    not hasattr(gym.vector, "AutoresetMode"), reason="the vector part needs Gymnasium 1.1"
)
def test_plain_sessions_of_a_vector_environment_probe_once():
    server = SERVERS["numbers"]()
    server.max_sessions = 3
    with serving(server) as url:
        envs = gym.make_vec("openenv/remote-v0", num_envs=3, base_url=url)
        observations, _ = envs.reset(seed=0)
        assert observations.shape == (3, 2)
        envs.close()
    assert len(server.said("reset")) == 4


def test_inspect_tells_what_the_probe_found():
    with serving(SERVERS["legal"]()) as url:
        found = inspect(url)
        assert found.inference.reasons == (
            "$: one probing reset was made, because the schemas leave something open",
            f"$.action.cell: the only required field; its constraints give {BOX}",
            f"$.observation.board: the only required field; its constraints give {BOARD}, with "
            "the lengths of the probing reset",
            "$.observation.legal_actions: goes up to 3 at the probing reset, which gives "
            "Discrete(4) and action_masks; if there are more actions, pass "
            "action_space=Discrete(n)",
        )
        fixed = inspect(url, options=ConnectOptions(action_space=gs.Discrete(4)))
        assert fixed.inference.action_space == gs.Discrete(4)


BOX = "Box(-9223372036854775808, 9223372036854775807, (), int64)"
BOARD = "Box(-9223372036854775808, 9223372036854775807, (2, 2), int64)"
