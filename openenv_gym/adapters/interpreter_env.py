"""An environment of another interpreter, as an object of this one.

It has what the environment has: ``reset``, ``step``, spaces or specs, and every other attribute,
which is asked for there. Which interface that is, :mod:`openenv_gym.adapters.foreign_env`
finds out, as for any other object.
"""

from __future__ import annotations

import inspect
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from openenv_gym.errors import ConnectionLostError
from openenv_gym.interpreter.columns import column_of, values_of
from openenv_gym.interpreter.describing import METHODS, SPACES, SPECS
from openenv_gym.interpreter.host import RESET
from openenv_gym.interpreter.lent import ActionForm
from openenv_gym.interpreter.plain import Form
from openenv_gym.workers.built_env import Rows
from openenv_gym.workers.interpreter_process import InterpreterProcess, raised_there

_log = logging.getLogger(__name__)


class SpaceThere:
    """A space or a spec of another interpreter: the attributes that describe it, and no more."""

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        vars(self).update(attributes)

    def sample(self) -> Any:
        """Refuse: the space made of this one can."""
        raise NotImplementedError("a space of another interpreter cannot be sampled here")

    contains = sample

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={value!r:.40}" for name, value in vars(self).items())
        return f"{type(self).__name__}({said})"


def described_there(value: Any) -> Any:
    """Return what :func:`openenv_gym.interpreter.describing.described` described."""
    if isinstance(value, (list, tuple)):
        make = getattr(value, "_make", type(value))  # of a named tuple
        return make([described_there(one) for one in value])
    if not isinstance(value, dict):
        return value
    if set(value) != {"class", "attributes"}:
        return {key: described_there(one) for key, one in value.items()}
    attributes = {name: described_there(one) for name, one in value["attributes"].items()}
    if attributes.get("dtype") is not None:
        attributes["dtype"] = np.dtype(attributes["dtype"])
    return type(value["class"], (SpaceThere,), {})(attributes)


class MethodThere:
    """A method of an environment of another interpreter.

    Args:
        call: Calls it.
        names: What it takes by keyword; None where that is not known, or is anything.
    """

    def __init__(self, call: Callable[..., Any], names: Sequence[str] | None = None) -> None:
        self._call = call
        kinds = inspect.Parameter
        parameters = [kinds(name, kinds.KEYWORD_ONLY, default=None) for name in names or ()]
        if names is None:
            parameters = [kinds("args", kinds.VAR_POSITIONAL), kinds("kwargs", kinds.VAR_KEYWORD)]
        self.__signature__ = inspect.Signature(parameters)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        return self._call(*args, **kwargs)


class _Ahead(NamedTuple):
    """What was asked for already, with what other environments were asked."""

    action: Any
    is_reset: bool
    outcome: tuple[bool, Any]


_ANY = object()
"""Stands for the action of a step that somebody has taken who was asked for it directly."""


class EnvThere:
    """An environment in another interpreter, or an object that it has.

    Args:
        process: The process of the interpreter.
        number: The number of the environment there.
        about: What it is, see :func:`openenv_gym.interpreter.describing.describe`.
        path: Where the object is in the environment, "" for the environment itself.
    """

    def __init__(
        self, process: InterpreterProcess, number: int, about: Mapping[str, Any], path: str = ""
    ) -> None:
        own = vars(self)
        own.update(_process=process, _number=number, _about=about, _path=path, _ahead=None)
        if path:
            return
        methods = dict(about["methods"])
        methods.pop("step", None)  # which is a method of this class
        for name, names in methods.items():
            own[name] = MethodThere(self._caller(name), names)
        if "reset" in methods:
            own["reset"] = MethodThere(self._reset, methods["reset"])
        own["close"] = self._close
        own.update(about["attributes"])
        for name, space in about["spaces"].items():
            own[name] = described_there(space)
        for name, spec in about["specs"].items():
            own[name] = _returning(described_there(spec))

    def step(self, action: Any) -> Any:
        """Act, or return what came of this action where it was sent ahead."""
        if self._ahead is None:
            return self._process.ask("step", self._number, action)
        return self._sent_ahead(action, is_reset=False)

    def _reset(self, **arguments: Any) -> Any:
        if self._ahead is None or arguments or not self._ahead.is_reset:
            vars(self)["_ahead"] = None
            return self._process.ask("call", self._number, "reset", (), arguments)
        return self._sent_ahead(None, is_reset=True)

    def _sent_ahead(self, action: Any, *, is_reset: bool) -> Any:
        ahead: _Ahead = self._ahead
        vars(self)["_ahead"] = None
        is_other = ahead.action is not action and ahead.action is not _ANY and not is_reset
        if ahead.is_reset is not is_reset or is_other:
            raise RuntimeError(f"{self!r}: something else was sent ahead, and has acted")
        is_well, value = ahead.outcome
        if not is_well:
            raise raised_there(value)
        return value

    def _close(self) -> None:
        if not self._process.has_ended:
            self._process.ask("close", self._number)

    def _caller(self, path: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            return self._process.ask("call", self._number, path, args, kwargs)

        return call

    def __getattr__(self, name: str) -> Any:
        """Ask for an attribute there."""
        if name.startswith("__") or (not self._path and name in (*METHODS, *SPACES, *SPECS)):
            raise AttributeError(f"{self!r} has no attribute {name!r}")
        path = f"{self._path}.{name}" if self._path else name
        what, value = self._process.ask("get", self._number, path)
        if what == "value":
            return value
        if what == "method":
            return MethodThere(self._caller(path))
        return type(value, (EnvThere,), {})(self._process, self._number, self._about, path)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute there."""
        if self._path:
            raise AttributeError(f"{self._path}.{name}: it can be read here, and not set")
        self._process.ask("set", self._number, name, value, True)

    def __repr__(self) -> str:
        where = f".{self._path}" if self._path else ""
        return f"<{self._about['name']}{where} in {self._process.python}>"


class AskedEnv(NamedTuple):
    """What is asked of an environment with what others are asked.

    Attributes:
        place: Its place among them.
        env: The environment.
        action: Its action; any, where it is reset.
        mode: What it does, see :meth:`openenv_gym.interpreter.host.Host.go_on`.
    """

    place: int
    env: EnvThere
    action: Any
    mode: int


def go_ahead(asked: Sequence[AskedEnv], form: Form) -> list[Rows]:
    """Step and reset environments with one message.

    Args:
        asked: What is asked of each.
        form: The form of the observations of plain steps.

    Returns:
        The plain steps. Each ``step`` and ``reset`` of others returns its part.
    """
    of_each: dict[InterpreterProcess, list[AskedEnv]] = {}
    for one in asked:  # those that were made anew may be in another process
        of_each.setdefault(one.env._process, []).append(one)
    found = [_gone_ahead(process, several, form) for process, several in of_each.items()]
    return [rows for rows in found if rows is not None]


def _gone_ahead(process: InterpreterProcess, asked: Sequence[AskedEnv], form: Form) -> Rows | None:
    places, envs, actions, modes = zip(*asked, strict=True)
    for env in envs:
        if env._ahead is not None:  # an error has kept somebody from taking it
            vars(env)["_ahead"] = None
    numbers = np.array([env._number for env in envs], np.int32)
    try:
        reply = process.ask("go_on", numbers, column_of(actions), bytes(modes), form)
    except ConnectionLostError:  # each finds that for itself, and says so
        return None
    plain, obs, rewards, flags, infos, others = reply
    if others is not None:
        done, left = plain.tolist(), dict(enumerate(asked))
        for at in done:
            del left[at]
        for one, outcome in zip(left.values(), values_of(others), strict=True):
            vars(one.env)["_ahead"] = _Ahead(one.action, one.mode == RESET, outcome)
        places = tuple(places[at] for at in done)
    if not places:
        return None
    known = None if infos is None else values_of(infos)
    return Rows(list(places), obs, rewards, flags, known)


class InterpreterLender:
    """Lends the socket of a session with one environment, see :mod:`openenv_gym.interpreter.lent`.

    Args:
        env: The environment there.
        actions: The form of its actions.
        plain: The form of the observations of its plain steps.
    """

    def __init__(self, env: EnvThere, actions: ActionForm, plain: Form) -> None:
        self._env = env
        self._process: InterpreterProcess = env._process
        self._forms = actions, plain
        self._is_able = hasattr(socket, "send_fds")

    def lend(self, sock: socket.socket) -> int | None:
        """Lend the socket; return what can be read when it is given back, None if it is not lent.

        Args:
            sock: The socket.
        """
        if not self._is_able or self._process.has_ended:
            return None
        try:
            self._process.lend(sock)
            self._process.send("lend", self._env._number, *self._forms)
        except OSError:  # a ConnectionLostError, too: who asks next is told how it ended
            return None
        return self._process.fileno()

    def take_back(self) -> tuple[int, bool]:
        """Wait until it is given back.

        Returns:
            How many steps were answered, and whether the last one has ended the episode.
        """
        try:
            count, is_over, outcome = self._process.answer()
        except ConnectionLostError:  # as before
            return 0, False
        except Exception as exc:  # it cannot receive sockets, or anything else: it is asked as ever
            self._is_able = False
            _log.warning("%s answers no steps by itself: %s", self._process.python, exc)
            return 0, False
        if outcome is not None:
            vars(self._env)["_ahead"] = _Ahead(_ANY, False, outcome)
        return count, is_over


def _returning(value: Any) -> Callable[[], Any]:
    return lambda: value
