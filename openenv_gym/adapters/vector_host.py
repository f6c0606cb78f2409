"""Sub-environments that are stepped in one message, hosted as one ``VectorEnv``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import msgspec

from openenv_gym.adapters import foreign_env
from openenv_gym.adapters.guarded_env import GuardedEnv
from openenv_gym.adapters.vector_forms import count_of, native, told
from openenv_gym.errors import EnvStartError, InvalidRequestError, shown
from openenv_gym.protocol import Open
from openenv_gym.protocol.limits import MAX_MESSAGE_BYTES
from openenv_gym.spaces import to_descriptor
from openenv_gym.spaces.batch import batch_space
from openenv_gym.spaces.rewards import inner_reward_space, reward_descriptor
from openenv_gym.spaces.size import least_bytes
from openenv_gym.wire.description import Description
from openenv_gym.workers.built_env import BuiltEnv, plain_metadata
from openenv_gym.workers.imports import imported

VECTORIZATIONS = ("auto", "sync", "native")


def build(name: str, request: Open) -> BuiltEnv:
    """Import ``package.module:factory`` and host the ``VectorEnv`` that it makes.

    Args:
        name: The place of a function that takes ``num_envs`` and further keyword arguments. It is
            told ``first_env``, ``max_episode_steps`` and ``render_mode`` where it has parameters
            for what is asked of these.
        request: The request, which says how many sub-environments there are; one, unless it does.

    Raises:
        UnknownEnvironmentError: there is no such module or function.
        EnvStartError: it made something else.
        InvalidRequestError: more is asked of it than it takes, or than it does.
    """
    factory, full = imported(name, "factory", "vector"), f"vector:{name}"
    if request.vectorization == "sync":
        raise InvalidRequestError(
            f"vectorization: {full} makes one vector environment, whose sub-environments cannot be "
            "stepped one after the other; expected 'native' or 'auto', got 'sync' (which "
            "OpenEnvVecEnv asks for)"
        )
    count = count_of(request)
    arguments = {**request.kwargs, **told(factory, full, request)}
    built = host_made(factory(num_envs=count, **arguments), full, count)
    mode, asked = built.description.autoreset_mode, request.autoreset_mode
    if asked not in (Open().autoreset_mode, mode):
        built.env.close()
        raise InvalidRequestError(
            f"autoreset_mode: {full} resets in a mode of its own, {mode}, got {asked}; leave it "
            "out, or have the function make what resets so"
        )
    return built


def host_made(envs: Any, name: str, count: int | None) -> BuiltEnv:
    """Host a ``VectorEnv`` as it is.

    Args:
        envs: The vector environment, of Gymnasium or with the interface of gym's.
        name: What clients are told that it is called.
        count: How many sub-environments are asked for, None for as many as it has.

    Raises:
        EnvStartError: it is none, or has another number of sub-environments.
    """
    if not isinstance(envs, gym.vector.VectorEnv) and foreign_env.is_vector(envs):
        from openenv_gym.adapters.foreign_vector_env import ForeignVectorEnv

        envs = ForeignVectorEnv(envs)
    if not isinstance(envs, gym.vector.VectorEnv):
        raise EnvStartError(
            f"{name}: expected a gymnasium.vector.VectorEnv, got {type(envs).__qualname__}"
        )
    if count not in (None, envs.num_envs):
        raise EnvStartError(
            f"{name} has {envs.num_envs} sub-environments, and {count} were asked for"
        )
    single = Description(
        environment=name,
        view="gymnasium",
        render_mode=envs.render_mode,
        metadata=plain_metadata(envs.metadata),
        reward=reward_descriptor(envs),
        about={"name": name, "description": f"Vector environment {_class_of(envs).__name__}"},
        has_vector_form=True,
    )
    return BuiltEnv(env=envs, description=_describe(single, envs), state=dict)


def _class_of(envs: Any) -> type[Any]:
    return type(vars(envs).get("foreign", envs))  # what an adapter adapts


def host(request: Open, build_one: Callable[[Open, int], BuiltEnv]) -> BuiltEnv:
    """Host as many sub-environments as ``request`` asks for.

    Args:
        request: The request, which has ``num_envs``.
        build_one: Builds one sub-environment, given its place among those of the session.

    Raises:
        InvalidRequestError: a number or a name makes no sense.
        EnvStartError: Gymnasium is too old, or the environment has no native form.
        SpaceError: the models of a typed environment leave its spaces open.
    """
    mode, count = _autoreset_mode(request.autoreset_mode), request.num_envs or 0
    if count < 1:
        raise InvalidRequestError(f"num_envs: expected a number from 1, got {count}")
    if request.vectorization not in VECTORIZATIONS:
        raise InvalidRequestError(
            f"vectorization: expected one of {', '.join(VECTORIZATIONS)}, "
            f"got {shown(request.vectorization)}"
        )
    single = msgspec.structs.replace(request, num_envs=None)
    first = build_one(single, 0)
    build: Callable[[int], BuiltEnv] = partial(build_one, single)
    if first.description.action is None:  # it has models of its own
        from openenv_gym.adapters.inferred_env import inferred

        try:
            build = inferred(build, first)
        except BaseException:
            first.env.close()
            raise
        first = build(0)
    try:
        _check_length(first, request.num_envs or 1)
        envs = native(request, first, mode)
    except BaseException:
        first.env.close()
        raise
    about = msgspec.structs.replace(first.description, has_vector_form=envs is not None)
    if envs is None:
        envs = _sync(first, build, request, mode)
    else:
        first.env.close()
    return BuiltEnv(env=envs, description=_describe(about, envs), state=first.state)


def _check_length(first: BuiltEnv, count: int) -> None:
    """Refuse at once what takes long to build, and whose batches no message could hold."""
    needed = count * least_bytes(first.env.observation_space)
    if needed > MAX_MESSAGE_BYTES:
        raise InvalidRequestError(
            f"observations of {first.description.environment} (x{count}): expected at most "
            f"{MAX_MESSAGE_BYTES} bytes, the most that a message has, got {needed}; spread the "
            "sub-environments over more sessions (shards=)"
        )


def _autoreset_mode(value: str) -> Any:
    try:
        from gymnasium.vector import AutoresetMode
    except ImportError as exc:
        raise EnvStartError(
            f"batched sessions need Gymnasium 1.1 or newer, this is {gym.__version__}"
        ) from exc
    try:
        return AutoresetMode(value)
    except ValueError as exc:
        known = ", ".join(mode.value for mode in AutoresetMode)
        raise InvalidRequestError(
            f"autoreset_mode: expected one of {known}, got {shown(value)}"
        ) from exc


def _sync(first: BuiltEnv, build: Callable[[int], BuiltEnv], request: Open, mode: Any) -> Any:
    waiting = [first]

    def make(place: int) -> Any:
        return (waiting.pop() if waiting else build(place)).env

    recovery, places = request.recovery, range(request.num_envs or 1)
    makers: list[Callable[[], Any]] = [partial(make, place) for place in places]
    if recovery is not None:
        makers = [partial(_guarded, makers[place], place, request) for place in places]
    from openenv_gym.adapters.recording_env import RecordingEnv  # not with an old Gymnasium

    # What it returns is written into a message before it steps again, so nothing is copied.
    envs = RecordingEnv(
        makers,
        reward_space=inner_reward_space(first.env),
        first_env=0 if recovery is None else recovery.first_env,
        ahead=first.ahead,
        copy=False,
        autoreset_mode=mode,
    )
    if recovery is not None:
        envs.watch()
    return envs


def _guarded(make: Callable[[], Any], place: int, request: Open) -> GuardedEnv:
    assert request.recovery is not None
    return GuardedEnv(make(), make, place, request.recovery, request.tracebacks)


def _describe(single: Description, envs: Any) -> Description:
    mode = envs.metadata.get("autoreset_mode")
    whole = msgspec.structs.replace(
        single,
        num_envs=envs.num_envs,
        autoreset_mode=getattr(mode, "value", None),
        action=_labelled(single.action, envs.single_action_space),
        observation=_labelled(single.observation, envs.single_observation_space),
    )
    if not whole.has_vector_form:  # the batches of SyncVectorEnv, which are the usual ones
        return whole
    own: dict[str, Any] = {}
    for side, batched, space in (
        ("batched_action", envs.action_space, envs.single_action_space),
        ("batched_observation", envs.observation_space, envs.single_observation_space),
    ):
        # EnvPool tells the single spaces there, though its values are batched.
        if batched != batch_space(space, envs.num_envs) and batched != space:
            own[side] = to_descriptor(batched)
    return msgspec.structs.replace(whole, **own)


def _labelled(known: Any, space: gym.Space[Any]) -> Any:
    """The descriptor of ``space``, with the labels that are known of it."""
    descriptor = to_descriptor(space)
    labels = (known or {}).get("labels")
    same = labels and {**descriptor, "labels": labels} == known
    return known if same else descriptor
