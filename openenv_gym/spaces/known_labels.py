"""Names for the components of the environments that Gymnasium itself brings.

Every table has the order of Gymnasium's code, and tests compare it with the simulators. A comment
here says where Gymnasium's documentation differs from its code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

Names = tuple[str, ...]


class EnvLabels(NamedTuple):
    """The possible labels of an environment's spaces, which depend on its arguments.

    Attributes:
        observation: Candidates for the observation space, each of a different length. The right
            one has as many names as the space has components. If none has, there are no labels.
        action: Candidates for the action space, chosen in the same way.
    """

    observation: tuple[Names, ...] = ()
    action: tuple[Names, ...] = ()


def known_labels(env_id: str) -> EnvLabels:
    """Return the names of the components of the environment with Gymnasium's ``env_id``.

    A 1-D Box has a name per component, a Tuple one per item and a Discrete one per value.

    >>> known_labels("CartPole-v1").observation
    (('cart_position', 'cart_velocity', 'pole_angle', 'pole_angular_velocity'),)
    >>> known_labels("MountainCar-v0").action
    (('accelerate_left', 'do_not_accelerate', 'accelerate_right'),)
    >>> known_labels("MyOwn-v0")
    EnvLabels(observation=(), action=())
    """
    name, _, version = env_id.rpartition("-v")
    if name in _SMALL:
        versions, labels = _SMALL[name]
        return labels if version in versions else EnvLabels()
    if name in _MUJOCO:
        versions, build = _MUJOCO[name]
        return build(int(version)) if version in versions else EnvLabels()
    return EnvLabels()


def _names(text: str) -> Names:
    return tuple(text.split())


def _each(subjects: Iterable[str], suffix: str) -> Names:
    return tuple(f"{subject}_{suffix}" for subject in subjects)


def _product(subjects: Iterable[str], *suffixes: str) -> Names:
    return tuple(f"{subject}_{suffix}" for subject in subjects for suffix in suffixes)


# Classic control, toy text and Box2D.

_ACCELERATION = _names("accelerate_left do_not_accelerate accelerate_right")
_CAR_ON_A_HILL = _names("position velocity")
# Leg 0 of the code is attached on the lander's right, as seen on the screen.
_LUNAR_LANDER = EnvLabels(
    observation=(
        _names("""
            position_x position_y velocity_x velocity_y angle angular_velocity
            right_leg_contact left_leg_contact
        """),
    ),
    action=(  # by default, and with continuous=True
        _names("do_nothing fire_left_engine fire_main_engine fire_right_engine"),
        _names("main_engine lateral_engine"),
    ),
)
# The action sets the motors' torque, although the documentation calls it their speed.
_BIPEDAL_WALKER = EnvLabels(
    observation=(
        _names("""
            hull_angle hull_angular_velocity velocity_x velocity_y
            hip_1_angle hip_1_speed knee_1_angle knee_1_speed leg_1_contact
            hip_2_angle hip_2_speed knee_2_angle knee_2_speed leg_2_contact
        """)
        + tuple(f"lidar_{i}" for i in range(10)),
    ),
    action=(_names("hip_1_torque knee_1_torque hip_2_torque knee_2_torque"),),
)
_FROZEN_LAKE = EnvLabels(action=(_names("left down right up"),))
_CLIFF_WALKING = EnvLabels(action=(_names("up right down left"),))

_SMALL: dict[str, tuple[Names, EnvLabels]] = {  # name: versions of the same layout, labels
    "CartPole": (
        ("0", "1"),
        EnvLabels(
            (_names("cart_position cart_velocity pole_angle pole_angular_velocity"),),
            (_names("push_left push_right"),),
        ),
    ),
    "MountainCar": (("0",), EnvLabels((_CAR_ON_A_HILL,), (_ACCELERATION,))),
    "MountainCarContinuous": (("0",), EnvLabels((_CAR_ON_A_HILL,), (("force",),))),
    "Pendulum": (
        ("1",),
        EnvLabels((_names("cos_angle sin_angle angular_velocity"),), (("torque",),)),
    ),
    "Acrobot": (
        ("1",),
        EnvLabels(
            (
                _names("""
                    cos_angle_1 sin_angle_1 cos_angle_2 sin_angle_2
                    angular_velocity_1 angular_velocity_2
                """),
            ),
            (_names("negative_torque no_torque positive_torque"),),
        ),
    ),
    "LunarLander": (("2", "3"), _LUNAR_LANDER),
    "LunarLanderContinuous": (("2", "3"), _LUNAR_LANDER),
    "BipedalWalker": (("3",), _BIPEDAL_WALKER),
    "BipedalWalkerHardcore": (("3",), _BIPEDAL_WALKER),
    "CarRacing": (
        ("2", "3"),
        EnvLabels(
            action=(  # by default, and with continuous=False
                _names("steering gas brake"),
                _names("do_nothing steer_right steer_left gas brake"),
            )
        ),
    ),
    "Blackjack": (
        ("1",),
        EnvLabels((_names("player_sum dealer_card usable_ace"),), (_names("stick hit"),)),
    ),
    "FrozenLake": (("1",), _FROZEN_LAKE),
    "FrozenLake8x8": (("1",), _FROZEN_LAKE),
    "CliffWalking": (("0", "1"), _CLIFF_WALKING),
    "CliffWalkingSlippery": (("1",), _CLIFF_WALKING),
    "Taxi": (
        ("3", "4"),
        EnvLabels(
            action=(_names("move_south move_north move_east move_west pick_up drop_off"),),
        ),
    ),
}

# MuJoCo: the hinges and bodies in the order of the model files. The root is called "torso", the
# name of its body. Versions before 5 differ only where a table asks for the version.

_ANT_HINGES = _names("hip_1 ankle_1 hip_2 ankle_2 hip_3 ankle_3 hip_4 ankle_4")
_ANT_MOTORS = _names("hip_4 ankle_4 hip_1 ankle_1 hip_2 ankle_2 hip_3 ankle_3")
_ANT_BODIES = _names("""
    torso front_left_leg aux_1 ankle_1 front_right_leg aux_2 ankle_2
    back_leg aux_3 ankle_3 right_back_leg aux_4 ankle_4
""")  # the model has no name for the bodies below the ankles, the documentation has
_LIMBS = """
    right_hip_x right_hip_z right_hip_y right_knee left_hip_x left_hip_z left_hip_y left_knee
    right_shoulder1 right_shoulder2 right_elbow left_shoulder1 left_shoulder2 left_elbow
"""
_HUMANOID_HINGES = _names(f"abdomen_z abdomen_y abdomen_x {_LIMBS}")
_HUMANOID_MOTORS = _names(f"abdomen_y abdomen_z abdomen_x {_LIMBS}")
_HUMANOID_BODIES = _names("""
    torso lwaist pelvis right_thigh right_shin right_foot left_thigh left_shin left_foot
    right_upper_arm right_lower_arm left_upper_arm left_lower_arm
""")
_HALF_CHEETAH = _names("back_thigh back_shin back_foot front_thigh front_shin front_foot")
_WALKER_2D = _names("thigh leg foot left_thigh left_leg left_foot")
_PUSHER = _names("""
    shoulder_pan shoulder_lift upper_arm_roll elbow_flex forearm_roll wrist_flex wrist_roll
""")
_FREE_POSITION = _names("torso_x torso_y torso_z") + _product(
    ("torso_orientation",), "w", "x", "y", "z"
)
_FREE_VELOCITY = _product(("torso_velocity", "torso_angular_velocity"), "x", "y", "z")
# MuJoCo puts the rotational half of a spatial vector first; Gymnasium's documentation of `cvel`
# and `cfrc_ext` says the reverse.
_CONTACT = _product(("contact_torque", "contact_force"), "x", "y", "z")
_MOTION = _product(("com_angular_velocity", "com_velocity"), "x", "y", "z")
_INERTIA = (
    *_product(("inertia",), "xx", "yy", "zz", "xy", "xz", "yz"),
    *_product(("mass_offset",), "x", "y", "z"),  # the offset of the centre, times the mass
    "mass",
)


def _with_and_without_xy(names: Names) -> tuple[Names, Names]:
    """Returns the default names, and those of exclude_current_positions_from_observation=False.

    Models that leave out x alone get no such candidate: it would be as long as the default with
    a TimeAwareObservation around it.
    """
    return names[2:], names


def _free_body(hinges: Names) -> Names:
    return (
        *_FREE_POSITION,
        *_each(hinges, "angle"),
        *_FREE_VELOCITY,
        *_each(hinges, "angular_velocity"),
    )


def _ant(version: int) -> EnvLabels:
    motion = _free_body(_ANT_HINGES)
    # Before version 5 the contact forces are optional, and with them come those of the world.
    bodies = _ANT_BODIES if version >= 5 else ("world", *_ANT_BODIES)
    full = motion + _product(bodies, *_CONTACT)
    return EnvLabels(
        _with_and_without_xy(full) + _with_and_without_xy(motion),
        (_each(_ANT_MOTORS, "torque"),),
    )


def _humanoid(version: int) -> EnvLabels:
    bodies, actuators = _HUMANOID_BODIES, _each(_HUMANOID_HINGES, "actuator_torque")
    if version < 5:  # with the world and the free joint of the torso, always zero
        bodies = ("world", *bodies)
        root = _product(("torso_actuator_force", "torso_actuator_torque"), "x", "y", "z")
        actuators = root + actuators
    names = (
        *_free_body(_HUMANOID_HINGES),
        *_product(bodies, *_INERTIA),
        *_product(bodies, *_MOTION),
        *actuators,
        *_product(bodies, *_CONTACT),
    )
    return EnvLabels(_with_and_without_xy(names), (_each(_HUMANOID_MOTORS, "torque"),))


def _planar(hinges: Names) -> Callable[[int], EnvLabels]:
    """Returns the labels of a body that moves in the plane of x and z and does not show its x."""
    observation = (
        "torso_z",
        "torso_angle",
        *_each(hinges, "angle"),
        *_names("torso_velocity_x torso_velocity_z torso_angular_velocity"),
        *_each(hinges, "angular_velocity"),
    )
    return lambda version: EnvLabels((observation,), (_each(hinges, "torque"),))


def _swimmer(version: int) -> EnvLabels:
    names = _names("""
        torso_x torso_y torso_angle rotor_1_angle rotor_2_angle
        torso_velocity_x torso_velocity_y torso_angular_velocity
        rotor_1_angular_velocity rotor_2_angular_velocity
    """)
    return EnvLabels(_with_and_without_xy(names), (_names("rotor_1_torque rotor_2_torque"),))


def _reacher(version: int) -> EnvLabels:
    names = _names("""
        cos_joint_0_angle cos_joint_1_angle sin_joint_0_angle sin_joint_1_angle
        target_x target_y joint_0_angular_velocity joint_1_angular_velocity
        fingertip_minus_target_x fingertip_minus_target_y fingertip_minus_target_z
    """)
    observation = names[:-1] if version >= 5 else names
    return EnvLabels((observation,), (_names("joint_0_torque joint_1_torque"),))


def _pusher(version: int) -> EnvLabels:
    observation = (
        *_each(_PUSHER, "angle"),
        *_each(_PUSHER, "angular_velocity"),
        *_product(("fingertip", "object", "goal"), "x", "y", "z"),
    )
    return EnvLabels((observation,), (_each(_PUSHER, "torque"),))


def _inverted_pendulum(version: int) -> EnvLabels:
    names = _names("cart_position pole_angle cart_velocity pole_angular_velocity")
    return EnvLabels((names,), (("cart_force",),))


def _inverted_double_pendulum(version: int) -> EnvLabels:
    # The documentation calls the constraint forces x, y and z; they are those of the joints.
    names = _names("""
        cart_position sin_pole_1_angle sin_pole_2_angle cos_pole_1_angle cos_pole_2_angle
        cart_velocity pole_1_angular_velocity pole_2_angular_velocity
        cart_constraint_force pole_1_constraint_torque pole_2_constraint_torque
    """)
    return EnvLabels((names[:-2] if version >= 5 else names,), (("cart_force",),))


_ALL = ("2", "3", "4", "5")
_NO_3 = ("2", "4", "5")  # the ones that never had a version 3

_MUJOCO: dict[str, tuple[Names, Callable[[int], EnvLabels]]] = {
    "Ant": (_ALL, _ant),
    "HalfCheetah": (_ALL, _planar(_HALF_CHEETAH)),
    "Hopper": (_ALL, _planar(_names("thigh leg foot"))),
    "Humanoid": (_ALL, _humanoid),
    "HumanoidStandup": (_NO_3, _humanoid),
    "InvertedDoublePendulum": (_NO_3, _inverted_double_pendulum),
    "InvertedPendulum": (_NO_3, _inverted_pendulum),
    "Pusher": (_NO_3, _pusher),
    "Reacher": (_NO_3, _reacher),
    "Swimmer": (_ALL, _swimmer),
    "Walker2d": (_ALL, _planar(_WALKER_2D)),
}
