"""Sub-environments that are stepped in one message, hosted as one ``VectorEnv``."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from itertools import islice
from typing import Any

import gymnasium as gym
import msgspec
from gymnasium.vector.utils import iterate

from openenv_gym.adapters.guarded_env import GuardedEnv
from openenv_gym.errors import EnvStartError, InvalidRequestError
from openenv_gym.protocol import NO_TIME_LIMIT, Open, Recovery
from openenv_gym.recovery import base_seeds_of
from openenv_gym.spaces import to_descriptor
from openenv_gym.wire.description import Description
from openenv_gym.workers.built_env import BuiltEnv, plain_metadata
from openenv_gym.workers.imports import imported

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
    factory = imported(name, "factory", "vector")
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
    spec, has_one = first.env.spec, first.description.has_vector_form
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
    # What it returns is written into a message before it steps again, so nothing is copied.
    envs = _recording(gym.vector.SyncVectorEnv)(makers, copy=False, autoreset_mode=mode)
    if recovery is not None:
        envs.watch(recovery.first_env)
    return envs


def _guarded(make: Callable[[], Any], place: int, recovery: Recovery) -> GuardedEnv:
    return GuardedEnv(make(), make, place, recovery)


def _recording(base: Any) -> Any:
    """A ``SyncVectorEnv`` whose infos are what each sub-environment said, not yet batched.

    Which dtype the array of a key gets depends on who says it first, among all shards of a
    vector environment. So whoever has all of them batches them.
    """

    class Recording(base):  # type: ignore[misc]  # known here only
        """Returns a list of pairs, a sub-environment and its info, in the order of batching."""

        records: list[tuple[int, dict[str, Any]]]
        first_env: int | None = None  # where the sub-environments are guarded
        keeps_base = False

        def watch(self, first_env: int) -> None:
            """Tell the guards of the sub-environments where their last observation is."""
            self.first_env = first_env
            for number, guard in enumerate(self.envs):
                guard.last_obs = partial(self.row, number)
            # The first reset of one that was made anew has seeds that are derived already.
            self.keeps_base = any(guard.restarts.incarnation for guard in self.envs)

        def row(self, number: int) -> Any:
            rows = iterate(self.observation_space, self._observations)
            return deepcopy(next(islice(rows, number, None)))

        def reset(self, **keywords: Any) -> Any:
            self.records = []
            if self.first_env is not None and keywords.get("seed") is not None:
                if not self.keeps_base:
                    _take_seeds(self.envs, self.first_env, **keywords)
                self.keeps_base = False
            return super().reset(**keywords)[0], self.records

        def step(self, actions: Any) -> Any:
            self.records = []
            return *super().step(actions)[:4], self.records

        def _add_info(self, infos: Any, info: dict[str, Any], number: int) -> Any:
            if info:
                self.records.append((number, info))
            return infos

    return Recording


def _take_seeds(guards: Any, first_env: int, seed: Any, options: Any = None) -> None:
    """Keep what the seeds after faults are derived from."""
    mask = (options or {}).get("reset_mask")
    bases = base_seeds_of(seed, len(guards), first_env)
    for number, (guard, base) in enumerate(zip(guards, bases, strict=False)):
        if base is not None and (mask is None or mask[number]):
            guard.restarts.base_seed = base


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
