"""Remote environments as one ``gymnasium.vector.VectorEnv``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, VectorEnv

from openenv_gym.endpoints import Answers
from openenv_gym.envs.action_checks import ActionChecks
from openenv_gym.envs.batching import (
    check_reset_mask,
    concatenate,
    cut,
    is_copied,
    joined,
    seeds_of,
)
from openenv_gym.envs.exclusive import ExclusiveUse, exclusive
from openenv_gym.envs.info_batches import joined_infos, records_of
from openenv_gym.envs.seeding import SeedCheck, listed
from openenv_gym.envs.shard import Shard, same_spaces
from openenv_gym.envs.shard_recipes import (
    default_shards,
    endpoints_of,
    shard_sizes,
)
from openenv_gym.envs.shards import Shards
from openenv_gym.envs.spec import shown_spec
from openenv_gym.errors import (
    InvalidActionError,
    InvalidRequestError,
    ProtocolError,
    ResetNeededError,
    TransportError,
    UnknownAttributeError,
)
from openenv_gym.protocol import BatchResult, Render, Rendered, Use
from openenv_gym.recovery import Effect, EpisodeState, OnFault, base_seeds_of, fault_policy
from openenv_gym.spaces.copy_value import copy_value
from openenv_gym.wire.raised import raised_as

__all__ = ["RemoteVectorEnv", "default_shards", "shard_sizes"]

_SHORTEST_CLOSE_S = 0.1
_MORE_CLOSING_S = 3.0
"""How long those have together whose turn comes when one that hangs has used up the time."""
_NO_TIME_S = 0.001


class RemoteVectorEnv(VectorEnv[Any, Any, Any]):
    """Sub-environments that run in other processes, spread over shards.

    A shard is a session. A session of ours, in a worker or on a server, has many sub-environments
    and steps them in one message; a session of any other server or client has one. A step sends to
    all shards before it receives from any. What comes back is what ``SyncVectorEnv`` gives for the
    same sub-environments, in each of the three autoreset modes. A fault ends the episodes of the
    sub-environments that have it, as truncated, and they begin anew; the others do not notice.

    Args:
        source: The URL of a server of ours, or of several that share the sub-environments; or the
            endpoint of each shard, which must be of one environment.
        num_envs: How many sub-environments, where ``source`` is of URLs.
        on_fault: ``truncate``; ``raise`` raises every fault; or a ``FaultPolicy``.
        autoreset_mode: The autoreset mode of Gymnasium, for sessions of one environment. An
            endpoint of many has its own.
        answers: What servers said a moment ago, so that each is asked once.
        token: The secret that opens the servers, as ``make_vec`` takes it, where ``source`` is of
            URLs.

    Attributes:
        autoreset_mode: The autoreset mode of Gymnasium; None where the environment's own vector
            form has none.
        reward_space: The space of array rewards, of one sub-environment, as those of MO-Gymnasium;
            it exists only where the environment has one.
        batches_infos: Whether infos are batched as Gymnasium does it. Otherwise they are pairs of
            the number of a sub-environment and its info, in the order in which they were said.

    Raises:
        UnreachableError: Nobody answers at the address of a shard.
        EnvStartError: A sub-environment could not be built.
        InvalidRequestError: There is no shard, or they are not of one environment.
    """

    batches_infos = True

    def __init__(
        self,
        source: str | Sequence[str] | Sequence[Any],
        num_envs: int | None = None,
        on_fault: OnFault = "truncate",
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        *,
        answers: Answers | None = None,
        token: str | None = None,
    ) -> None:
        mode = AutoresetMode(autoreset_mode)
        endpoints = endpoints_of(source, num_envs, mode.value, token)
        self._policy = fault_policy(on_fault)
        self._is_soft = self._policy.is_soft
        self._use = ExclusiveUse()
        answers = Answers() if answers is None else answers
        self._shards = Shards.open(endpoints, self._policy, mode, answers)
        try:
            self._take_spaces()
        except BaseException:
            self._shards.abandon()
            raise
        self.spec = None
        self._ended = np.zeros(self.num_envs, np.bool_)
        for shard in self._shards:
            shard.ended = self._ended[shard.span]
        self._last_frames: dict[Shard, Sequence[Any]] = {}

    @staticmethod
    def from_clients(
        clients: Sequence[Any],
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        on_fault: OnFault = "truncate",
        **arguments: Any,
    ) -> RemoteVectorEnv:
        """Return a vector environment of OpenEnv clients, one for each sub-environment.

        Args:
            clients: What :func:`openenv_gym.from_client` takes, each client once.
            autoreset_mode: The autoreset mode of Gymnasium.
            on_fault: What becomes of faults, as this class takes it.
            **arguments: The arguments of :func:`openenv_gym.from_client`, for all clients.

        Raises:
            InvalidRequestError: There is no client, one is given twice, or their spaces differ.
        """
        from openenv_gym.endpoints.client import client_endpoints

        return RemoteVectorEnv(
            client_endpoints(clients, **arguments),
            on_fault=on_fault,
            autoreset_mode=autoreset_mode,
        )

    @staticmethod
    def from_functions(
        functions: Sequence[Callable[..., Any]], **arguments: Any
    ) -> RemoteVectorEnv:
        """Return a vector environment of what classes or functions of this process make, embedded.

        They need not be in a module: the workers are handed the code, as cloudpickle writes it.

        Args:
            functions: The makers of the sub-environments, one for each, as ``[make_env] * 64``.
                They may be different, and their spaces have to be equal.
            **arguments: The attributes of :class:`VectorArguments` but ``num_envs`` and
                ``vectorization``: ``shards``, ``autoreset_mode``, ``max_episode_steps``,
                ``render_mode``; ``timeout_s``, ``check_seeding`` and ``on_fault``, see
                :class:`ConnectOptions`; ``context``, where ``"fork"`` has workers inherit the
                functions from this process; the others are keyword arguments of each function.

        Raises:
            InvalidRequestError: An argument makes no sense, or a function cannot be sent to another
                process; the message says what in it.
            EnvStartError: A function raised there, made no environment, or one of other spaces.
        """
        from openenv_gym.envs.from_functions import vector_env_of

        return vector_env_of(functions, **arguments)

    def _take_spaces(self) -> None:
        first, *others = self._shards
        info = first.info
        self.num_envs = self._shards[-1].span.stop
        for other in others:
            if not same_spaces(other.info, info):
                raise raised_as(InvalidRequestError, RuntimeError)(  # as Gymnasium's own has it
                    f"expected shards of one environment, got {info.name} "
                    f"({info.action_space}, {info.observation_space}), and from sub-environment "
                    f"{other.span.start} on {other.info.name} "
                    f"({other.info.action_space}, {other.info.observation_space})"
                )
        self.name = info.name
        self.has_action_masks = info.has_action_masks
        self.single_action_space: Any = info.action_space
        self.single_observation_space: Any = info.observation_space
        if info.reward_space is not None:
            self.reward_space = info.reward_space
        batched = first.batched_spaces(self.num_envs)
        self.action_space, self.observation_space = batched
        spaces = self.single_action_space, self.action_space
        self._action_checks = ActionChecks(*spaces, self._shards)
        self._check_action = self._action_checks.of(self.num_envs)
        self.render_mode = info.render_mode
        self.metadata = dict(info.metadata)
        self.autoreset_mode = first.mode
        if first.mode is not None:
            self.metadata["autoreset_mode"] = first.mode
        self._is_copied = is_copied(info.observation_space)
        self._seeds = SeedCheck(info)

    @exclusive
    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in all sub-environments, or in those of a mask.

        Args:
            seed: A number for the first one, which counts up, or a list with one for each.
            options: The options of Gymnasium. Their ``reset_mask``, a ``bool`` array of shape
                ``(num_envs,)`` with at least one True, says which are reset.

        Raises:
            InvalidRequestError: The seeds or the mask have another form.
            TransportError: A connection broke, or none can be had.
            RemoteEnvError: A sub-environment raised.
        """
        self._check_idle("reset")
        mask = (options or {}).get("reset_mask")
        if self._seeds.is_asked and mask is None and any(one is not None for one in listed(seed)):
            self._seeds.look_at(self, seed, options)
        try:
            results = self._shards.collect(self._ask_reset(seed, options, mask))
        except BaseException:  # also an interrupt: nobody waits for the others then
            self._shards.forget()
            raise
        return self._take_first(results, mask)

    def _take_first(self, results: Mapping[Shard, BatchResult], mask: Any) -> tuple[Any, Any]:
        """Put together what shards answered to a reset, and keep what they observe."""
        for shard, result in results.items():
            shard.obs = result.obs
        self._ended[slice(None) if mask is None else mask] = False
        parts = [shard.obs for shard in self._shards]
        obs = parts[0] if len(parts) == 1 else concatenate(self.single_observation_space, parts)
        if self._is_soft and (len(parts) == 1 or not self._is_copied):
            obs = copy_value(obs)
        infos = [results[one].info if one in results else {} for one in self._shards]
        return obs, self._merged(infos, [one.count for one in self._shards])

    def _ask_reset(self, seed: Any, options: dict[str, Any] | None, mask: Any) -> list[Shard]:
        """Ask all shards for a reset, or those that have sub-environments in ``mask``."""
        seeds, bases = seeds_of(seed, self.num_envs), base_seeds_of(seed, self.num_envs)
        if mask is not None:
            check_reset_mask(mask, self.num_envs)
        self.closed = False
        answers: Answers = {}

        def ask(shard: Shard) -> Effect | None:
            own = dict(options or {})
            chosen = None if mask is None else mask[shard.span]
            if chosen is not None:
                own["reset_mask"] = chosen
            given = seeds[shard.span]
            shard.take_seeds(given, bases[shard.span], chosen)
            request = shard.reset_request(seed, given, own or None)
            return shard.ask_reset(given, request, chosen, answers)

        asked = [one for one in self._shards if mask is None or mask[one.span].any()]
        if any(one.obs is None for one in self._shards if one not in asked):
            raise ResetNeededError(
                "reset of some before the first reset of all; leave options['reset_mask'] out first"
            )
        self._shards.ask({shard: partial(ask, shard) for shard in asked})
        return asked

    @exclusive
    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Act in all sub-environments, as in Gymnasium.

        Args:
            actions: A batch of ``num_envs`` actions, of ``action_space``. With ``NEXT_STEP`` the
                action of a sub-environment that has ended is ignored, whatever it is.

        Returns:
            The batched observation; rewards of shape ``(num_envs,)`` and dtype ``float64``, or
            ``(num_envs, *reward_space.shape)`` where the environment pays arrays; terminations and
            truncations of shape ``(num_envs,)`` and dtype ``bool``; the infos.

        Raises:
            InvalidActionError: An action is not in its space; nothing was sent.
            ResetNeededError: There was no reset yet; nothing was sent.
            TransportError: A connection broke.
            RemoteEnvError: A sub-environment raised.
            SpaceError: A reward or a flag of a sub-environment has no place in a batch.
        """
        if self._shards.is_under_way:
            raise _busy("step")
        try:
            self._ask_step(actions)
            return self._take(self._shards.collect(self._shards))
        except BaseException:  # also an interrupt: nobody calls step_wait then
            self._shards.forget()
            raise

    @exclusive
    def step_async(self, actions: Any) -> None:
        """Send the actions; :meth:`step_wait` returns what comes of them.

        Args:
            actions: The batch that :meth:`step` takes.
        """
        self._check_idle("step")
        try:
            self._ask_step(actions)
        except BaseException:
            self._shards.forget()
            raise

    @exclusive
    def step_wait(self) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Return what came of the actions that :meth:`step_async` sent, as :meth:`step` does."""
        if not self.is_under_way:
            raise ProtocolError("step_wait without step_async before it")
        return self._take(self._shards.collect(self._shards))

    def _ask_step(self, actions: Any) -> None:
        if self._shards[0].obs is None:
            raise ResetNeededError("step before the first reset; call reset() first")
        if self.autoreset_mode is AutoresetMode.DISABLED and self._ended.any():
            raise ResetNeededError(
                f"step after the end of the episodes of {np.flatnonzero(self._ended).tolist()}; "
                "call reset(options={'reset_mask': ...}) for these"
            )
        try:
            actions = self._check_action(actions)
        except InvalidActionError as exc:
            actions = self._action_checks.of_live(actions, self._shards, exc)
        self._ask_steps(actions, self._shards)

    def _ask_steps(self, actions: Any, shards: Sequence[Shard]) -> None:
        """Send to some shards a batch of as many actions as they have sub-environments."""
        if len(self._shards) == 1:
            self._shards.ask({shards[0]: partial(shards[0].ask_step, actions)})
            return
        asked: dict[Shard, Callable[[], Effect | None]] = {}
        start = 0
        for shard in shards:
            stop = start + shard.count
            own = cut(self.single_action_space, actions, start, stop)
            asked[shard] = partial(shard.ask_step, own)
            start = stop
        self._shards.ask(asked)

    def _take(self, results: Mapping[Shard, BatchResult]) -> tuple[Any, Any, Any, Any, Any]:
        """Put together what some shards answered, and keep what they observe."""
        # What is put together belongs to the caller, who may write to it. What is kept for a
        # fault must not change then, so it is a copy where values are shared.
        is_shared = self._is_soft and (len(results) == 1 or not self._is_copied)
        for shard, result in results.items():
            shard.obs = copy_value(result.obs) if is_shared else result.obs
            if result.rewards is None:
                shard.ended[:] = False
            else:
                np.logical_or(result.terminations, result.truncations, out=shard.ended)
        if len(results) == 1 and result.rewards is not None and not result.info:
            no_info: Any = {} if self.batches_infos else []
            return result.obs, result.rewards, result.terminations, result.truncations, no_info
        counts = [shard.count for shard in results]
        parts = list(results.values())
        obs, rewards, terminations, truncations = joined(
            self.single_observation_space, parts, counts
        )
        if rewards is None:
            rewards = np.concatenate([shard.unpaid() for shard in results])
            terminations, truncations = np.zeros((2, sum(counts)), np.bool_)
        info = self._merged([part.info for part in parts], counts)
        return obs, rewards, terminations, truncations, info

    def _merged(self, infos: Sequence[Any], counts: Sequence[int]) -> Any:
        return joined_infos(infos, counts) if self.batches_infos else records_of(infos, counts)

    @property
    def is_under_way(self) -> bool:
        """Whether there is something that ``step_wait`` or :meth:`recv` has to return."""
        return self._shards.is_under_way

    def _check_idle(self, call: str) -> None:
        if self._shards.is_under_way:
            raise _busy(call)

    # Those who are ready are stepped, and the others are not waited for.

    @exclusive
    def async_reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> None:
        """Begin an episode everywhere; :meth:`recv` returns the first observations as they come.

        Args:
            seed: The seed that :meth:`reset` takes.
            options: The options of Gymnasium.
        """
        self._check_idle("async_reset")
        try:
            self._ask_reset(seed, options, None)
        except BaseException:
            self._shards.forget()
            raise
        self._ended[:] = False

    @exclusive
    def send(self, actions: Any, env_id: Any) -> None:
        """Act in some sub-environments; :meth:`recv` returns what comes of it.

        Args:
            actions: A batch of as many actions as there are in ``env_id``.
            env_id: The numbers of the sub-environments, as :meth:`recv` gave them: all those of
                each shard, in order.

        Raises:
            InvalidRequestError: They are not whole shards, or one is under way.
            InvalidActionError: An action is not in its space; nothing was sent.
            ResetNeededError: One has had no reset.
        """
        shards = self._shards.with_numbers(np.asarray(env_id).tolist())
        if any(shard.obs is None for shard in shards):
            raise ResetNeededError("send before the first reset; call async_reset() first")
        checks = self._action_checks
        try:
            actions = checks.of(sum(shard.count for shard in shards))(actions)
        except InvalidActionError as exc:
            actions = checks.of_live(actions, shards, exc)
        try:
            self._ask_steps(actions, shards)
        except BaseException:
            self._shards.forget()
            raise

    @exclusive
    def recv(self, count: int = 1) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Return what has come, as soon as it is of at least ``count`` sub-environments.

        A shard answers as a whole: with ``shards=num_envs`` no slow sub-environment holds another.

        Args:
            count: How many sub-environments to wait for.

        Returns:
            What :meth:`step` returns, of those that are ready; ``info["env_id"]`` says which. After
            a reset the rewards are 0.

        Raises:
            ProtocolError: Nothing is under way.
            RemoteEnvError: A sub-environment raised.
        """
        if not self.is_under_way:
            raise ProtocolError("recv without send or async_reset before it")
        results = self._shards.collect(self._shards.wait(count))
        env_id = np.concatenate([np.arange(one.span.start, one.span.stop) for one in results])
        obs, rewards, terminations, truncations, info = self._take(results)
        info["env_id"] = env_id
        return obs, rewards, terminations, truncations, info

    # What sub-environments have beside resets and steps.

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method of each sub-environment, or read an attribute, as in Gymnasium.

        Embedded sub-environments have all but what begins with an underscore; a server has what
        it was started with (``--attributes``). What is known here is read here.

        Returns:
            What each returned: numbers, texts, numpy arrays, and dicts, lists and tuples of these.

        Raises:
            AttributeError: There is none of this name, or the server does not allow it.
            RemoteEnvError: The method raised, or returned what cannot travel.
        """
        known = self.known_attributes
        if name in known and not (args or kwargs):
            return (known[name],) * self.num_envs
        return tuple(self.use(Use(name, "call", list(args), kwargs)))

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return an attribute of each sub-environment, as :meth:`call` does."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of each sub-environment.

        Args:
            name: Its name.
            values: A list or a tuple with one value for each, or one value for all.

        Raises:
            InvalidRequestError: The number of values is not the number of sub-environments.
            AttributeError: It cannot be set from here.
        """
        if not isinstance(values, (list, tuple)):
            values = [values] * self.num_envs
        self.use(Use(name, "set", list(values)))

    @exclusive
    def use(self, request: Use) -> list[Any]:
        """Read, set or call something of some sub-environments, or of all.

        Args:
            request: What to do; its numbers are those of this vector environment.

        Returns:
            What each answers, in the order of the numbers.

        Raises:
            AttributeError: There is none of this name, or it cannot be used from here.
            InvalidRequestError: The number of values to set is not that of the sub-environments.
        """
        self._check_idle(request.how)
        if request.how == "set" and request.name in self.known_attributes:
            raise UnknownAttributeError(
                f"{request.name!r} of {self} cannot be set: it was fixed when it was made"
            )
        return self._shards.use(request)

    @property
    def known_attributes(self) -> dict[str, Any]:
        """What all sub-environments have in common, and is known here."""
        return {
            "spec": self.spec,
            "render_mode": self.render_mode,
            "metadata": self.metadata,
            "action_space": self.single_action_space,
            "observation_space": self.single_observation_space,
        }

    @exclusive
    def render(self) -> tuple[Any, ...] | None:
        """Return what each sub-environment renders, None without a render mode.

        After a fault there is nobody who renders: the last picture is returned again.

        Raises:
            TransportError: A connection broke, and there was no picture, or no step yet.
        """
        self._check_idle("render")
        if self.render_mode is None:
            gym.logger.warn(f"{self}: render() without a render_mode; name one in make_vec")
            return None
        frames: list[Any] = []
        for shard in self._shards:
            try:
                reply = shard.session.request(Render())
            except TransportError:
                if shard.episode.state is EpisodeState.UNPROVEN or shard not in self._last_frames:
                    raise
                frames += map(copy_value, self._last_frames[shard])  # the next step tells
                continue
            assert isinstance(reply, Rendered)
            self._last_frames[shard] = reply.frame or ()
            frames += self._last_frames[shard]
        return tuple(frames)

    @property
    def spec(self) -> EnvSpec | None:
        """What Gymnasium made the environment of, without the secret of a server."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = shown_spec(spec, next((shard.endpoint for shard in self._shards), None))

    def close_extras(self, **kwargs: Any) -> None:
        """End the sessions, within a few seconds each; :meth:`reset` begins others."""
        self._shards.forget()
        self._shards.close()
        self._last_frames.clear()

    def __del__(self) -> None:
        """Close the sockets of an environment that nobody closed; its sessions end with them."""
        with contextlib.suppress(AttributeError):
            self._shards.abandon()

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles hold the recipes: the copy opens sessions of its own."""
        endpoints = [shard.endpoint for shard in self._shards]
        mode = self.autoreset_mode or AutoresetMode.NEXT_STEP
        return type(self), (endpoints, None, self._policy, mode), {"_spec": self.spec}

    def __str__(self) -> str:
        """Like ``<RemoteVectorEnv CartPole-v1 x64>``."""
        return f"<{type(self).__name__} {self.name} x{self.num_envs}>"


def _busy(call: str) -> ProtocolError:
    return ProtocolError(f"{call} while a step is under way; call step_wait or recv first")
