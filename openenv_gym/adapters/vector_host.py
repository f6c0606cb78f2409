"""Sub-environments that are stepped in one message, hosted as one ``VectorEnv``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import msgspec

from openenv_gym.adapters.guarded_env import GuardedEnv
from openenv_gym.errors import EnvStartError, InvalidRequestError
from openenv_gym.protocol import NO_TIME_LIMIT, Open, Recovery
from openenv_gym.spaces import to_descriptor
from openenv_gym.spaces.rewards import inner_reward_space, reward_descriptor
from openenv_gym.wire.description import Description
from openenv_gym.workers.built_env import BuiltEnv, imported, plain_metadata

VECTORIZATIONS = ("auto", "sync", "native")


def build(name: str, request: Open) -> BuiltEnv:
    """Import ``package.module:factory`` and host the ``VectorEnv`` that it makes.

    Args:
        name: The place of a function that takes ``num_envs`` and further keyword arguments.
        request: The request, which says how many sub-environments there are; one, unless it does.

    Raises:
        UnknownEnvironmentError: there is no such module or function.
        EnvStartError: it made something else.
    """
    factory = imported("vector", name, "factory")
    count = request.num_envs or 1
    return host_made(factory(num_envs=count, **request.kwargs), f"vector:{name}", count)


def host_made(envs: Any, name: str, count: int | None) -> BuiltEnv:
    """Host a ``VectorEnv`` as it is.

    Args:
        envs: The vector environment.
        name: What clients are told that it is called.
        count: How many sub-environments are asked for, None for as many as it has.

    Raises:
        EnvStartError: it is none, or has another number of sub-environments.
    """
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
        about={"name": name, "description": f"Vector environment {type(envs).__name__}"},
    )
    return BuiltEnv(env=envs, description=_describe(single, envs), state=dict)


def host(request: Open, build_one: Callable[[Open], BuiltEnv]) -> BuiltEnv:
    """Host as many sub-environments as ``request`` asks for.

    Args:
        request: The request, which has ``num_envs``.
        build_one: Builds one sub-environment.

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
            f"got {request.vectorization!r}"
        )
    single = msgspec.structs.replace(request, num_envs=None)
    first = build_one(single)
    build: Callable[[], BuiltEnv] = partial(build_one, single)
    if first.description.action is None:  # it has models of its own
        from openenv_gym.adapters.inferred_env import inferred

        try:
            build = inferred(build, first)
        except BaseException:
            first.env.close()
            raise
        first = build()
    envs = _native(request, first, mode)
    if envs is None:
        envs = _sync(first, build, request, mode)
    return BuiltEnv(env=envs, description=_describe(first.description, envs), state=first.state)


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
            f"autoreset_mode: expected one of {known}, got {value!r}"
        ) from exc


def _native(request: Open, first: BuiltEnv, mode: Any) -> Any:
    """The environment's own vector form, None where it has none or another is asked for."""
    spec = first.env.spec
    has_one = spec is not None and spec.vector_entry_point is not None
    if request.vectorization == "native" and not has_one:
        first.env.close()
        raise EnvStartError(
            f"{first.description.environment} has no vector entry point; use vectorization='sync'"
        )
    if request.vectorization == "sync" or not has_one:
        return None
    assert spec is not None
    limit: dict[str, Any] = {}
    if request.max_episode_steps is not None:
        limit["max_episode_steps"] = (
            None if request.max_episode_steps == NO_TIME_LIMIT else request.max_episode_steps
        )
    envs = gym.make_vec(
        spec.id,
        num_envs=request.num_envs or 1,
        vectorization_mode="vector_entry_point",
        **limit,
        **request.kwargs,
    )
    if envs.metadata.get("autoreset_mode") is not mode:
        envs.close()
        if request.vectorization == "native":
            first.env.close()
            raise EnvStartError(
                f"the vector form of {first.description.environment} resets in the mode "
                f"{envs.metadata.get('autoreset_mode')} only; use vectorization='sync'"
            )
        return None
    first.env.close()
    return envs


def _sync(first: BuiltEnv, build: Callable[[], BuiltEnv], request: Open, mode: Any) -> Any:
    waiting = [first]

    def make() -> Any:
        return (waiting.pop() if waiting else build()).env

    count, recovery = request.num_envs or 1, request.recovery
    makers: list[Callable[[], Any]] = [make] * count
    if recovery is not None:
        makers = [partial(_guarded, make, place, recovery) for place in range(count)]
    from openenv_gym.adapters.recording_env import RecordingEnv  # not with an old Gymnasium

    # What it returns is written into a message before it steps again, so nothing is copied.
    envs = RecordingEnv(
        makers,
        reward_space=inner_reward_space(first.env),
        first_env=0 if recovery is None else recovery.first_env,
        copy=False,
        autoreset_mode=mode,
    )
    if recovery is not None:
        envs.watch()
    return envs


def _guarded(make: Callable[[], Any], place: int, recovery: Recovery) -> GuardedEnv:
    return GuardedEnv(make(), make, place, recovery)


def _describe(single: Description, envs: Any) -> Description:
    from gymnasium.vector.utils import batch_space

    mode = envs.metadata.get("autoreset_mode")
    whole = msgspec.structs.replace(
        single,
        num_envs=envs.num_envs,
        autoreset_mode=getattr(mode, "value", None),
        action=_labelled(single.action, envs.single_action_space),
        observation=_labelled(single.observation, envs.single_observation_space),
    )
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
