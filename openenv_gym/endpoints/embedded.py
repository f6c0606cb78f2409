"""An environment in a worker process of this process."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from openenv_gym.client import Connection
from openenv_gym.client.transports import WorkerSocket, open_transport
from openenv_gym.endpoints.env_info import (
    Answers,
    Described,
    EnvInfo,
    info_of,
    opened,
    peer_never_read,
)
from openenv_gym.endpoints.options import ConnectOptions, reply_timeout
from openenv_gym.endpoints.registered import is_of_this_process
from openenv_gym.errors import ConnectionLostError, UnknownEnvironmentError
from openenv_gym.protocol import BinaryMessages, ClientSession, Open
from openenv_gym.wire.description import Description
from openenv_gym.workers.built_env import Builder
from openenv_gym.workers.imports import check_not_under_way

if TYPE_CHECKING:
    from openenv_gym.launchers.embedded import Cohort

_STARTS = 3
"""How many workers an environment is sent to, where they die before they have read the request."""


@dataclass(frozen=True, kw_only=True)
class EmbeddedEndpoint:
    """An environment in an embedded worker.

    Attributes:
        request: What to open.
        options: How long to wait for a reply; the other options are for servers.
        worker: The number of the worker.
        cohort: The workers that began in the same process as it was then; where there is none,
            each session is of the process as it is.
        handed: What the worker is handed beside the request: functions of this process, and ids
            that it has registered, see :mod:`openenv_gym.endpoints.handing`.
        builder: What builds the environment in a worker of its own, which is forked from this
            process; None for a worker that is shared.
    """

    request: Open
    options: ConnectOptions = field(default_factory=ConnectOptions)
    worker: int = 0
    cohort: Cohort | None = field(default=None, compare=False)
    handed: bytes | None = field(default=None, repr=False)
    builder: Builder | None = field(default=None, repr=False)

    def describe(self, answers: Answers | None = None) -> Described[Connection]:
        """Build the environment, and keep the session: nothing is gained by building it twice."""
        return self.connect()

    def connect(
        self, known: EnvInfo | None = None, answers: Answers | None = None
    ) -> Described[Connection]:
        """Make a new session, of the environment that was embedded before."""
        is_batched = self.request.num_envs is not None
        request = msgspec.structs.replace(self.request, needs_spaces=not is_batched)
        connection, description = replace(self, request=request).open_session()
        try:
            info = info_of(description, self.request, self.options, is_binary=True)
            # A function may say how it renders itself.
            if self.handed is not None or self.builder is not None:
                info = replace(info, render_mode=description.render_mode)
            return Described(info, connection)
        except BaseException:
            connection.abandon()
            raise

    def open_session(self) -> tuple[Connection, Description]:
        """Return a new session and its description, also of an environment without spaces.

        Raises:
            ServerError: no worker can be started.
            EnvStartError: the environment could not be built.
        """
        from openenv_gym.launchers.embedded import EMBEDDED

        check_not_under_way(self.request.environment or "")
        for left in reversed(range(_STARTS)):
            if self.builder is not None:
                sock, worker = EMBEDDED.fork(self.builder)
            else:
                sock, worker = EMBEDDED.connect(self.worker, self.cohort, self.handed)
            place = WorkerSocket(sock, f"the embedded worker (process {worker.pid})", worker)
            session = ClientSession(BinaryMessages(max_space_bytes=None))
            timeout_s = reply_timeout(self.options.timeout_s, {})
            connection = Connection(session, open_transport(place), timeout_s)
            try:
                return connection, opened(connection, self.request)
            except ConnectionLostError as exc:
                if not left or not peer_never_read(exc):
                    raise
                EMBEDDED.drop(self.worker, worker)
        raise AssertionError("the last try returns or raises")


def embedded_endpoints(
    request: Open,
    options: ConnectOptions | None = None,
    count: int = 1,
    handed: bytes | None = None,
) -> list[EmbeddedEndpoint]:
    """Return endpoints in ``count`` workers of this process as it is now.

    Args:
        request: What to open.
        options: How long to wait for a reply.
        count: How many workers; each endpoint is in another one.
        handed: What the worker is handed beside the request; where it is not given, the ids that
            this process has registered, if ``request`` names one of them.

    Raises:
        InvalidRequestError: such an id cannot be sent to another process.
        UnknownEnvironmentError: the name is one in ``__main__``.
    """
    name = request.environment or ""
    if name.startswith("__main__:"):
        raise UnknownEnvironmentError(
            f"{name}: the worker is another process, whose __main__ is another; give the class or "
            "function itself to RemoteEnv.from_function, or register an id for it and name that"
        )
    if handed is None and is_of_this_process(name):
        from openenv_gym.endpoints.handing import handed_ids  # which brings cloudpickle

        handed = handed_ids(name)
    from openenv_gym.launchers.embedded import EMBEDDED

    cohort, how = EMBEDDED.current(count), options or ConnectOptions()
    return [
        EmbeddedEndpoint(request=request, options=how, worker=number, cohort=cohort, handed=handed)
        for number in range(count)
    ]
