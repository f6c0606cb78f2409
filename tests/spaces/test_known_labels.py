"""The shipped names say what the components are: compared with the simulators, not counted."""

from __future__ import annotations

import contextlib
import keyword
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, Tuple

from openenv_gym.spaces.known_labels import Names, known_labels

pytestmark = pytest.mark.single_env

FAMILY = re.compile(r"gymnasium\.envs\.(classic_control|toy_text|box2d|mujoco)\b")
SIMULATOR = {"box2d": "Box2D", "mujoco": "mujoco", "classic_control": "numpy", "toy_text": "numpy"}
UNNAMED_OBSERVATION = {  # a Discrete of places, or an image
    "FrozenLake",
    "FrozenLake8x8",
    "CliffWalking",
    "CliffWalkingSlippery",
    "Taxi",
    "CarRacing",
}


def family(env_id: str) -> str | None:
    found = FAMILY.match(str(gymnasium.registry[env_id].entry_point))
    return found and found[1]


IDS = [  # old Gymnasiums have MuJoCo's versions 2 and 3, for mujoco-py, which is no more
    env_id
    for env_id in gymnasium.registry
    if family(env_id) and not (family(env_id) == "mujoco" and env_id[-1] in "23")
]


@pytest.fixture(autouse=True)
def no_log_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """MuJoCo writes its warnings into the working directory."""
    monkeypatch.chdir(tmp_path)


@contextlib.contextmanager
def made(env_id: str, **kwargs: Any) -> Iterator[Any]:
    if env_id not in gymnasium.registry:
        pytest.skip(f"this Gymnasium has no {env_id}")
    simulator = SIMULATOR[family(env_id) or "toy_text"]
    with warnings.catch_warnings():  # of old versions, and of what SWIG made of Box2D
        warnings.simplefilter("ignore")
        pytest.importorskip(simulator, reason=f"{env_id} runs in {simulator}")
        env = gymnasium.make(env_id, disable_env_checker=True, **kwargs)
    try:
        env.reset(seed=3)
        yield env.unwrapped
    finally:
        env.close()


def components(space: gymnasium.Space[Any]) -> int | None:
    match space:
        case Box(shape=(length,)):
            return length
        case Discrete():
            return int(space.n)
        case Tuple():
            return len(space.spaces)
    return None


def the(candidates: tuple[Names, ...], space: gymnasium.Space[Any]) -> Names:
    """Returns the one candidate that is as long as the space."""
    (names,) = [names for names in candidates if len(names) == components(space)]
    return names


def observation_names(env_id: str, env: Any) -> Names:
    return the(known_labels(env_id).observation, env.observation_space)


def action(env_id: str, env: Any, name: str) -> int:
    return the(known_labels(env_id).action, env.action_space).index(name)


@pytest.mark.parametrize("env_id", [env_id for env_id in IDS if env_id != "Pusher-v4"])
def test_labels_fit_every_environment_of_gymnasium(env_id: str):
    labels = known_labels(env_id)
    with made(env_id) as env:
        assert the(labels.action, env.action_space)
        if env_id.rpartition("-")[0] in UNNAMED_OBSERVATION:
            assert labels.observation == ()
            return
        count = len(the(labels.observation, env.observation_space))
        # TimeAwareObservation adds a component, which must not make another candidate fit.
        assert count + 1 not in [len(names) for names in labels.observation]


@pytest.mark.parametrize("env_id", IDS)
def test_names_are_fit_for_a_named_tuple(env_id: str):
    labels = known_labels(env_id)
    for candidates in labels:
        lengths = [len(names) for names in candidates]
        assert len(set(lengths)) == len(lengths), "which one fits must be clear"
        for names in candidates:
            assert len(set(names)) == len(names)
            assert not {"count", "index"} & set(names)
            assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in names)
            assert not any(keyword.iskeyword(name) for name in names)


@pytest.mark.parametrize(
    "env_id", ["", "CartPole", "CartPole-v9", "Ant-v6", "Ant-vx", "Reacher-v3", "own/CartPole-v1"]
)
def test_others_have_no_labels(env_id: str):
    assert known_labels(env_id) == ((), ())


# Classic control and toy text.


@pytest.mark.parametrize(
    ("env_id", "state", "expected"),
    [
        (
            "CartPole-v1",
            [0.1, 0.2, 0.03, 0.4],
            {
                "cart_position": 0.1,
                "cart_velocity": 0.2,
                "pole_angle": 0.03,
                "pole_angular_velocity": 0.4,
            },
        ),
        ("MountainCar-v0", [-0.5, 0.02], {"position": -0.5, "velocity": 0.02}),
        ("MountainCarContinuous-v0", [-0.5, 0.02], {"position": -0.5, "velocity": 0.02}),
        (
            "Pendulum-v1",
            [0.3, 0.7],
            {"cos_angle": np.cos(0.3), "sin_angle": np.sin(0.3), "angular_velocity": 0.7},
        ),
        (
            "Acrobot-v1",
            [0.3, 0.5, 0.7, 0.9],
            {
                "cos_angle_1": np.cos(0.3),
                "sin_angle_1": np.sin(0.3),
                "cos_angle_2": np.cos(0.5),
                "sin_angle_2": np.sin(0.5),
                "angular_velocity_1": 0.7,
                "angular_velocity_2": 0.9,
            },
        ),
    ],
)
def test_classic_control_shows_its_state(
    env_id: str, state: list[float], expected: dict[str, float]
):
    observed = {"Pendulum-v1": "_get_obs", "Acrobot-v1": "_get_ob"}
    with made(env_id) as env:
        env.state = np.array(state)
        get = observed.get(env_id)
        values = getattr(env, get)() if get else env.state
        got = dict(zip(observation_names(env_id, env), values, strict=True))
        assert got == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("env_id", "name", "component", "sign"),
    [
        ("CartPole-v1", "push_left", "cart_velocity", -1),
        ("CartPole-v1", "push_right", "cart_velocity", 1),
        ("MountainCar-v0", "accelerate_left", "velocity", -1),
        ("MountainCar-v0", "do_not_accelerate", "velocity", 0),
        ("MountainCar-v0", "accelerate_right", "velocity", 1),
    ],
)
def test_classic_actions_do_what_they_say(env_id: str, name: str, component: str, sign: int):
    with made(env_id) as env:
        env.state = np.zeros_like(np.asarray(env.state, dtype=float))
        if env_id == "MountainCar-v0":
            env.state = np.array([-np.pi / 6, 0.0])  # the bottom of the valley
        values, *_ = env.step(action(env_id, env, name))
        value = values[observation_names(env_id, env).index(component)]
        assert np.sign(np.round(value, 9)) == sign


def test_acrobot_actions_are_torques():
    # Not stepped: the Acrobot of Gymnasium 0.29.1 cannot, with NumPy 2.
    with made("Acrobot-v1") as env:
        for name, torque in (("negative_torque", -1), ("no_torque", 0), ("positive_torque", 1)):
            assert env.AVAIL_TORQUE[action("Acrobot-v1", env, name)] == torque


@pytest.mark.parametrize(
    ("env_id", "start", "moves"),
    [
        ("FrozenLake-v1", 10, {"left": 9, "down": 14, "right": 11, "up": 6}),
        ("FrozenLake8x8-v1", 9, {"left": 8, "down": 17, "right": 10, "up": 1}),
        ("CliffWalking-v1", 13, {"left": 12, "down": 25, "right": 14, "up": 1}),
        ("CliffWalking-v0", 13, {"left": 12, "down": 25, "right": 14, "up": 1}),
    ],
)
def test_moves_lead_where_they_say(env_id: str, start: int, moves: dict[str, int]):
    lake = {"is_slippery": False} if env_id.startswith("FrozenLake") else {}
    with made(env_id, **lake) as env:
        for name, place in moves.items():
            env.reset(seed=0)
            env.s = start
            assert env.step(action(env_id, env, name))[0] == place


@pytest.mark.parametrize("env_id", ["Taxi-v4", "Taxi-v3"])
def test_the_taxi_does_what_the_names_say(env_id: str):
    with made(env_id) as env:
        waiting = env.encode(2, 2, 0, 1)  # the middle; the passenger is at red, to go to green
        for name, row, column in (
            ("move_south", 3, 2),
            ("move_north", 1, 2),
            ("move_east", 2, 3),
            ("move_west", 2, 1),
        ):
            env.s = waiting
            state = env.step(action(env_id, env, name))[0]
            assert list(env.decode(state)) == [row, column, 0, 1]
        env.s = env.encode(0, 0, 0, 1)
        assert list(env.decode(env.step(action(env_id, env, "pick_up"))[0])) == [0, 0, 4, 1]
        env.s = env.encode(0, 4, 4, 1)
        assert list(env.decode(env.step(action(env_id, env, "drop_off"))[0])) == [0, 4, 1, 1]


def test_blackjack_shows_the_hands():
    with made("Blackjack-v1") as env:
        env.player, env.dealer = [1, 6], [9, 10]
        names = observation_names("Blackjack-v1", env)
        assert dict(zip(names, env._get_obs(), strict=True)) == {
            "player_sum": 17,
            "dealer_card": 9,
            "usable_ace": True,
        }
        env.player = [2, 3]
        assert not env.step(action("Blackjack-v1", env, "hit"))[2]
        assert len(env.player) == 3
        assert env.step(action("Blackjack-v1", env, "stick"))[2]


# Box2D.


@pytest.mark.parametrize("env_id", ["LunarLander-v3", "LunarLanderContinuous-v3"])
def test_lunar_lander_shows_the_lander(env_id: str):
    with made(env_id) as env:
        env.lander.linearVelocity, env.lander.angularVelocity = (3.0, -2.0), 0.5
        # The listener says which leg stands when a contact begins; in the air it says nothing.
        left, right = sorted(env.legs, key=lambda leg: leg.position.x)
        left.ground_contact, right.ground_contact = True, False
        values, *_ = env.step(env.action_space.sample() * 0)
        got = dict(zip(observation_names(env_id, env), values, strict=True))
        body, half_width, half_height = env.lander, 10.0, 400 / 30 / 2
        expected = {
            "position_x": body.position.x / half_width - 1,
            "position_y": (body.position.y - env.helipad_y - 18 / 30) / half_height,
            "velocity_x": body.linearVelocity.x * half_width / 50,
            "velocity_y": body.linearVelocity.y * half_height / 50,
            "angle": body.angle,
            "angular_velocity": body.angularVelocity * 20 / 50,
            "left_leg_contact": 1,
            "right_leg_contact": 0,
        }
        assert got == pytest.approx(expected, abs=1e-6)


def test_lunar_lander_fires_what_the_names_say():
    """The documentation's left engine is the one that pushes to the left."""
    env_id = "LunarLander-v3"
    drift = {}
    with made(env_id) as env:
        for name in ("do_nothing", "fire_left_engine", "fire_main_engine", "fire_right_engine"):
            env.reset(seed=3)
            before = env.lander.linearVelocity.copy()
            env.step(action(env_id, env, name))
            drift[name] = env.lander.linearVelocity - before
    assert drift["fire_left_engine"].x < drift["do_nothing"].x < drift["fire_right_engine"].x
    assert drift["fire_main_engine"].y > drift["do_nothing"].y + 0.1


def test_lunar_lander_engines_are_also_continuous():
    env_id = "LunarLander-v3"
    with made(env_id, continuous=True) as env:
        names = the(known_labels(env_id).action, env.action_space)
        drift = {}
        for name in ("", *names):
            env.reset(seed=3)
            before = env.lander.linearVelocity.copy()
            env.step(np.array([float(name == each) for each in names], dtype=np.float32))
            drift[name] = env.lander.linearVelocity - before
    assert drift["main_engine"].y > drift[""].y + 0.1
    assert drift["lateral_engine"].x > drift[""].x


@pytest.mark.parametrize("env_id", ["BipedalWalker-v3", "BipedalWalkerHardcore-v3"])
def test_bipedal_walker_shows_hull_and_joints(env_id: str):
    with made(env_id) as env:
        for _ in range(20):
            values, *_ = env.step(np.array([0.7, -0.4, -0.9, 0.2], dtype=np.float32))
        hull = env.hull
        expected = {
            "hull_angle": hull.angle,
            "hull_angular_velocity": 2 * hull.angularVelocity / 50,
            "velocity_x": 0.3 * hull.linearVelocity.x * 20 / 50,
            "velocity_y": 0.3 * hull.linearVelocity.y * (400 / 30) / 50,
        }
        for leg in (1, 2):
            hip, knee = env.joints[2 * leg - 2 : 2 * leg]
            expected |= {
                f"hip_{leg}_angle": hip.angle,
                f"hip_{leg}_speed": hip.speed / 4,
                f"knee_{leg}_angle": knee.angle + 1,
                f"knee_{leg}_speed": knee.speed / 6,
                f"leg_{leg}_contact": float(env.legs[2 * leg - 1].ground_contact),
            }
        expected |= {f"lidar_{i}": ray.fraction for i, ray in enumerate(env.lidar)}
        got = dict(zip(observation_names(env_id, env), values, strict=True))
        assert got == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["hip_1_torque", "knee_1_torque", "hip_2_torque", "knee_2_torque"])
def test_bipedal_walker_actions_turn_their_joint(name: str):
    with made("BipedalWalker-v3") as env:
        names = the(known_labels("BipedalWalker-v3").action, env.action_space)
        env.step(np.array([0.5 * (name == each) for each in names], dtype=np.float32))
        joints = zip(("hip_1", "knee_1", "hip_2", "knee_2"), env.joints, strict=True)
        torque = {f"{joint}_torque": motor.GetMotorTorque(50) for joint, motor in joints}
        assert {joint for joint, value in torque.items() if value} == {name}


def test_the_racing_car_obeys_the_names():
    env_id = "CarRacing-v3"
    facts = {"steer_left": 1, "steer_right": -1}
    with made(env_id, continuous=False) as env:
        for name in the(known_labels(env_id).action, env.action_space):
            env.reset(seed=3)
            env.step(action(env_id, env, name))
            front, *_, rear = env.car.wheels
            assert np.sign(front.steer) == facts.get(name, 0)
            assert (rear.gas > 0, rear.brake > 0) == (name == "gas", name == "brake")
    with made(env_id) as env:
        for name in the(known_labels(env_id).action, env.action_space):
            env.reset(seed=3)
            command = np.zeros(3, dtype=np.float32)
            command[action(env_id, env, name)] = 0.5
            env.step(command)
            front, *_, rear = env.car.wheels
            assert (front.steer < 0) == (name == "steering"), "positive is to the right"
            assert (rear.gas > 0, rear.brake > 0) == (name == "gas", name == "brake")


# MuJoCo.

XYZ = "xyz"
LEFT_RIGHT = ("thigh", "leg", "foot")
HINGES = {  # the stem of the name: the joint in the model file
    "Ant": {f"{part}_{i}": f"{part}_{i}" for i in range(1, 5) for part in ("hip", "ankle")},
    "HalfCheetah": {
        f"{side}_{part}": f"{side[0]}{part}"
        for side in ("back", "front")
        for part in ("thigh", "shin", "foot")
    },
    "Hopper": {part: f"{part}_joint" for part in LEFT_RIGHT},
    "Walker2d": {part: f"{part}_joint" for part in LEFT_RIGHT}
    | {f"left_{part}": f"{part}_left_joint" for part in LEFT_RIGHT},
    "Swimmer": {"rotor_1": "motor1_rot", "rotor_2": "motor2_rot"},
    "Reacher": {"joint_0": "joint0", "joint_1": "joint1"},
    "InvertedPendulum": {"pole": "hinge"},
    "InvertedDoublePendulum": {"pole_1": "hinge", "pole_2": "hinge2"},
    "Pusher": {
        part: f"r_{part}_joint"
        for part in (
            "shoulder_pan",
            "shoulder_lift",
            "upper_arm_roll",
            "elbow_flex",
            "forearm_roll",
            "wrist_flex",
            "wrist_roll",
        )
    },
}
PLANAR = {"HalfCheetah", "Hopper", "Walker2d"}
DEFAULT = [env_id for env_id in IDS if family(env_id) == "mujoco"]
VARIANTS = [
    *((env_id, {}) for env_id in DEFAULT),
    ("Ant-v4", {"use_contact_forces": True}),
    ("Ant-v5", {"include_cfrc_ext_in_observation": False}),
    *(
        (env_id, {"exclude_current_positions_from_observation": False})
        for env_id in ("Ant-v4", "Ant-v5", "Humanoid-v4", "Humanoid-v5", "HumanoidStandup-v5")
    ),
    *(
        (env_id, {"exclude_current_positions_from_observation": False})
        for env_id in ("Swimmer-v4", "Swimmer-v5")
    ),
]


@contextlib.contextmanager
def simulated(env_id: str, **kwargs: Any) -> Iterator[Any]:
    if env_id != "Pusher-v4":  # refuses MuJoCo 3 and later; its model and its code still work
        with made(env_id, **kwargs) as env:
            yield env
        return
    mujoco = pytest.importorskip("mujoco", reason="Pusher runs in mujoco")
    from gymnasium.envs.mujoco import pusher_v4

    file = Path(pusher_v4.__file__).with_name("assets") / "pusher.xml"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = mujoco.MjModel.from_xml_path(str(file))
    data = mujoco.MjData(model)
    env = SimpleNamespace(
        model=model,
        data=data,
        observation_space=Box(-np.inf, np.inf, (23,)),
        action_space=Box(-2, 2, (7,)),
        get_body_com=lambda body: data.body(body).xpos,
    )
    env._get_obs = lambda: pusher_v4.PusherEnv._get_obs(env)
    yield env


def hinges(env: Any, env_id: str) -> dict[str, str]:
    name = env_id.rpartition("-")[0]
    if not name.startswith("Humanoid"):
        return HINGES[name]
    joints = [env.model.joint(i).name for i in range(env.model.njnt)]
    return {joint: joint for joint in joints if joint != "root"}


def stir(env: Any) -> None:
    """Gives every quantity of the simulation a value of its own, high above the ground."""
    import mujoco

    model, data, rng = env.model, env.data, np.random.default_rng(7)
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
    data.qpos[:] = rng.uniform(0.1, 0.4, model.nq)
    data.qvel[:] = rng.uniform(0.1, 0.4, model.nv)
    data.ctrl[:] = rng.uniform(0.1, 0.4, model.nu)
    data.xfrc_applied[1:] = rng.uniform(0.1, 0.4, (model.nbody - 1, 6))
    for i in range(model.njnt):
        address = model.jnt_qposadr[i]
        if model.jnt_type[i] == mujoco.mjtJoint.mjJNT_FREE:
            data.qpos[address + 3 : address + 7] /= np.linalg.norm(
                data.qpos[address + 3 : address + 7]
            )
    if model.joint(0).name == "slider":
        data.qpos[0] = model.jnt_range[0, 1] + 0.001  # beyond its limit, which then pushes
    mujoco.mj_forward(model, data)
    mujoco.mj_rnePostConstraint(model, data)


def velocity(env: Any, body: int, local: bool) -> np.ndarray[Any, Any]:
    """Returns the angular, then the linear velocity of a body's origin, in either frame."""
    import mujoco

    result = np.zeros(6)
    kind = mujoco.mjtObj.mjOBJ_XBODY
    mujoco.mj_objectVelocity(env.model, env.data, kind, body, result, local)
    return result


def vector(stem: str, values: Any, parts: Any = XYZ) -> dict[str, float]:
    return {f"{stem}_{part}": value for part, value in zip(parts, values, strict=True)}


def joint_facts(env: Any, env_id: str) -> dict[str, float]:
    facts = {}
    for stem, joint in hinges(env, env_id).items():
        at = env.data.joint(joint)
        facts |= {
            f"{stem}_angle": at.qpos[0],
            f"cos_{stem}_angle": np.cos(at.qpos[0]),
            f"sin_{stem}_angle": np.sin(at.qpos[0]),
            f"{stem}_angular_velocity": at.qvel[0],
            f"{stem}_constraint_torque": np.clip(at.qfrc_constraint[0], -10, 10),
            f"{stem}_actuator_torque": at.qfrc_actuator[0],
        }
    return facts


def root_facts(env: Any, env_id: str) -> dict[str, float]:
    """Returns where the torso or the cart is, or what only a planar arm has."""
    data, name = env.data, env_id.rpartition("-")[0]
    if name.startswith("Inverted"):
        slider = data.joint("slider")
        return {
            "cart_position": slider.qpos[0],
            "cart_velocity": slider.qvel[0],
            "cart_constraint_force": np.clip(slider.qfrc_constraint[0], -10, 10),
        }
    if name in ("Pusher", "Reacher"):
        bodies = {"fingertip": "tips_arm", "object": "object", "goal": "goal"}
        if name == "Pusher":
            return {k: v for b in bodies for k, v in vector(b, data.body(bodies[b]).xpos).items()}
        tip, target = data.body("fingertip").xpos, data.body("target").xpos
        return vector("target", target[:2], "xy") | vector("fingertip_minus_target", tip - target)
    torso = data.body("torso")
    facts = vector("torso_velocity", velocity(env, torso.id, local=False)[3:])
    if name in PLANAR:
        return facts | {
            "torso_z": data.joint("rootz").qpos[0],
            "torso_angle": data.joint("rooty").qpos[0],
            "torso_angular_velocity": data.joint("rooty").qvel[0],
        }
    facts |= vector("torso", torso.xpos)
    if name == "Swimmer":
        turn = data.joint("free_body_rot")
        return facts | {"torso_angle": turn.qpos[0], "torso_angular_velocity": turn.qvel[0]}
    return (
        facts
        | vector("torso_orientation", torso.xquat, "wxyz")
        | vector("torso_angular_velocity", velocity(env, torso.id, local=True)[:3])
        | vector("torso_actuator_force", np.zeros(3))
        | vector("torso_actuator_torque", np.zeros(3))
    )


def body_facts(env: Any, body: int) -> dict[str, float]:
    """Returns what the code calls cinert, cvel and cfrc_ext, worked out from their meaning."""
    model, data = env.model, env.data
    name = model.body(body).name or "ankle_" + model.body(model.body_parentid[body]).name[-1]
    centre = data.subtree_com[model.body_rootid[body]]  # of the whole robot
    mass, offset = model.body_mass[body], data.xipos[body] - centre
    frame = data.ximat[body].reshape(3, 3)
    inertia = frame @ np.diag(model.body_inertia[body]) @ frame.T
    inertia += mass * (offset @ offset * np.eye(3) - np.outer(offset, offset))
    spin, speed = np.split(velocity(env, body, local=False), 2)
    force, torque = np.split(data.xfrc_applied[body], 2)
    six = {a + b: inertia[XYZ.index(a), XYZ.index(b)] for a, b in ("xx", "yy", "zz")}
    six |= {a + b: inertia[XYZ.index(a), XYZ.index(b)] for a, b in ("xy", "xz", "yz")}
    return {
        f"{name}_mass": mass,
        **vector(f"{name}_mass_offset", mass * offset),
        **vector(f"{name}_inertia", six.values(), six),
        **vector(f"{name}_com_angular_velocity", spin),
        **vector(f"{name}_com_velocity", speed + np.cross(spin, centre - data.xpos[body])),
        **vector(f"{name}_contact_force", force),
        **vector(f"{name}_contact_torque", torque + np.cross(offset, force)),
    }


@pytest.mark.parametrize(("env_id", "kwargs"), VARIANTS)
def test_every_mujoco_component_is_what_it_is_called(env_id: str, kwargs: dict[str, Any]):
    with simulated(env_id, **kwargs) as env:
        stir(env)
        expected = joint_facts(env, env_id) | root_facts(env, env_id)
        if env_id.startswith(("Ant", "Humanoid")):
            for body in range(env.model.nbody):
                expected |= body_facts(env, body)
        if env_id.startswith("Ant"):  # clips the forces, and only them
            forces = [name for name in expected if "_contact_" in name]
            expected |= {name: np.clip(expected[name], -1, 1) for name in forces}
        names = observation_names(env_id, env)
        got = dict(zip(names, env._get_obs(), strict=True))
        assert got == pytest.approx({name: expected[name] for name in names}, abs=1e-9)


@pytest.mark.parametrize("env_id", DEFAULT)
def test_mujoco_actions_are_called_by_their_joint(env_id: str):
    with simulated(env_id) as env:
        stems = {joint: f"{stem}_torque" for stem, joint in hinges(env, env_id).items()}
        stems["slider"] = "cart_force"
        joints = [env.model.joint(i).name for i in env.model.actuator_trnid[:, 0]]
        names = the(known_labels(env_id).action, env.action_space)
        assert names == tuple(stems[joint] for joint in joints)
