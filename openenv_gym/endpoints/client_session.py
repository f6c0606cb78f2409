"""A session on a client object: requests become calls of its methods, and their results replies.

It is a ``Connection`` like any other: the same states, the same refusals, one request at a time.
In place of bodies there are calls.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

import gymnasium as gym

from openenv_gym.client import Connection
from openenv_gym.client.driver import SESSION_ENDING, ClientDriver, under_sync
from openenv_gym.client.transport import Transport
from openenv_gym.errors import (
    ConnectionLostError,
    InvalidRequestError,
    OpenEnvGymError,
    ProtocolError,
    RequestTimeoutError,
    UnsupportedRenderModeError,
    shown,
)
from openenv_gym.protocol import (
    ClientSession,
    Failed,
    GetState,
    Render,
    Rendered,
    Reply,
    Request,
    Reset,
    Result,
    SessionState,
    StateReply,
    Step,
    failure,
)
from openenv_gym.protocol.json_messages import ClientView
from openenv_gym.wire.client_schemas import plain


class ClientCalls:
    """Writes requests as calls, reads results of the client as replies.

    Args:
        client: The client object.
        view: Writes actions and reads observations.
        make_action: Makes the client's action of its JSON fields.

    Attributes:
        error: What the last call raised.
    """

    def __init__(
        self, client: Any, view: ClientView, make_action: Callable[[dict[str, Any]], Any]
    ) -> None:
        self._client = client
        self._view = view
        self._make_action = make_action
        self._dropped: set[str] = set()
        self.error: OpenEnvGymError | None = None

    def encode_request(self, seq: int, request: Request) -> Any:
        """Return the call that ``request`` is: a method of the client, and its arguments.

        Raises:
            InvalidActionError: the client's action class refuses the action.
            InvalidRequestError: no method of a client stands for it.
        """
        match request:
            case Step(action=action):
                return "step", (self._make_action(self._view.dump_action(action)),), {}
            case Reset():
                return "reset", (), self._reset_arguments(request)
            case GetState():
                return "state", (), {}
            case Render():
                return "render", (), {}
        raise InvalidRequestError(f"an OpenEnv client has no method for {type(request).__name__}")

    def decode_reply(self, body: Any) -> tuple[None, Reply]:
        """Return the reply that the result of a call is.

        Raises:
            NotOpenEnvError: the observation lacks the field that holds it.
            InvalidRequestError: the observation does not have the form of its space.
            ProtocolError: the client returned something else than a ``StepResult``.
        """
        name, result = body
        self.error = result if isinstance(result, OpenEnvGymError) else None
        if self.error is not None:
            return None, failure(self.error)
        if name == "state":
            return None, StateReply(plain(result))
        if name == "render":
            return None, Rendered(result)
        message = _message(result, name)
        return None, Result(*self._view.load_result(message, is_first=name == "reset"))

    def _reset_arguments(self, request: Reset) -> dict[str, Any]:
        """What of the request the signature of the client's ``reset`` takes."""
        named = {"seed": request.seed, "options": request.options or None, **request.extra}
        given = {name: value for name, value in named.items() if value is not None}
        parameters = inspect.signature(under_sync(self._client).reset).parameters
        if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
            return given
        if "options" in given and "options" not in parameters:
            given.update(given.pop("options"))
        dropped = given.keys() - parameters.keys()
        if new := sorted(dropped - self._dropped):
            self._dropped |= dropped
            gym.logger.warn(
                f"reset() of {type(self._client).__name__} takes "
                f"{', '.join(parameters) or 'nothing'}; what else is given has no effect: "
                f"{', '.join(new)}"
            )
        return {name: value for name, value in given.items() if name in parameters}


def _message(result: Any, name: str) -> dict[str, Any]:
    """The ``data`` of the message that a ``StepResult`` stands for."""
    if not hasattr(result, "observation") or not hasattr(result, "done"):
        raise ProtocolError(
            f"expected a StepResult with observation, reward and done of {name}(), got "
            f"{shown(result)} ({type(result).__name__})"
        )
    data = {
        "observation": plain(result.observation),
        "reward": plain(getattr(result, "reward", None)),
        "done": bool(result.done),
    }
    metadata = getattr(result, "metadata", None)
    return {**data, "metadata": plain(metadata)} if metadata else data


class ClientTransport(Transport):
    """Carries calls to a client, and what came of them back.

    Args:
        driver: Calls the client.
    """

    def __init__(self, driver: ClientDriver) -> None:
        self._driver = driver
        self._pending: tuple[str, Future[Any]] | None = None

    def send(self, body: Any, timeout_s: float | None = None) -> None:
        """Begin the call ``body``."""
        name, args, kwargs = body
        if name == "render" and not callable(getattr(self._driver.client, "render", None)):
            raise UnsupportedRenderModeError(f"{self._driver.name} has no method render()")
        self._pending = name, self._driver.begin(name, *args, **kwargs)

    def receive(self, timeout_s: float | None) -> Any:
        """Return the name of the method and what came of it: a result, or an error to report.

        Raises:
            TransportError: the connection broke, or the answer did not come in time.
            ServerError: the server closed the session.
            ProtocolError: the client did not understand its server.
        """
        if self._pending is None:
            raise ConnectionLostError("no reply is under way")
        name, future = self._pending
        try:
            result = future.result(timeout_s)
        except SESSION_ENDING:
            self._pending = None
            raise
        except OpenEnvGymError as exc:
            result = exc
        except CancelledError:
            raise ConnectionLostError(f"{name}() was cancelled") from None
        except TimeoutError as exc:
            raise RequestTimeoutError(
                f"no answer to {name}() within {timeout_s:g} s; its connection is not used again, "
                "and reset() makes a new one"
            ) from exc
        self._pending = None
        return name, result

    def is_done(self) -> bool:
        """Whether there is no call that one would have to wait for."""
        return self._pending is None or self._pending[1].done()

    def close(self) -> None:
        """Give up what is under way; the client itself stays as it is."""
        if self._pending is not None:
            self._driver.give_up(self._pending[1])
            self._pending = None

    def has_hung_up(self) -> bool:
        """Whether the session is known to be gone."""
        return self._driver.has_hung_up()


class ClientConnection(Connection):
    """A session on a client object; it connects with the first reset.

    Args:
        driver: Calls the client.
        calls: Writes requests and reads results.
        timeout_s: How long to wait for a reply beside the client's own timeout, in seconds.
        closes_client: Whether closing the session closes the client.
    """

    def __init__(
        self,
        driver: ClientDriver,
        calls: ClientCalls,
        timeout_s: float | None = None,
        *,
        closes_client: bool,
    ) -> None:
        session = ClientSession(calls, SessionState.READY)
        self._client_transport = ClientTransport(driver)
        super().__init__(session, self._client_transport, timeout_s)
        self._driver = driver
        self._calls = calls
        self._closes_client = closes_client

    def _checked(self, reply: Reply) -> Reply:
        """Raise the very error of the client, whose cause tells more than a reply can."""
        if type(reply) is Failed and (error := self._calls.error) is not None:
            raise error
        return super()._checked(reply)

    def has_reply(self) -> bool:
        """Whether the call that was begun has ended."""
        return self._client_transport.is_done()

    def close(self, timeout_s: float | None = None) -> None:
        """End the session; the client too, even after a fault, where it is to be closed.

        Args:
            timeout_s: How long to wait for it at most, in seconds; as long as it takes unless
                given.
        """
        self.abandon()
        if self._closes_client:
            self._driver.close(timeout_s)

    def end_session(self, timeout_s: float) -> None:
        """Have the client connect anew for the next session; it is not closed."""
        self.abandon()
        self._driver.end_session()
