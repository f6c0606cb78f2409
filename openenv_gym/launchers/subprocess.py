"""A server in a process of its own: ``openenv-gym serve``, started and ended from Python.

>>> with ServerProcess("openspiel:catch") as server:      # doctest: +SKIP
...     env = gym.make("openenv/catch-v0", base_url=server.base_url)
"""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType
from typing import Self

from openenv_gym.credentials import TOKEN_VARIABLE, check_token
from openenv_gym.errors import EnvStartError
from openenv_gym.workers.lifeline import Lifeline
from openenv_gym.workers.spawn import variables_for

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


class ServerProcess:
    """Serves an environment on a free port of the loopback interface.

    The server imports what this process does, unless ``server_python`` is another interpreter.

    The server ends when :meth:`stop` is called or this process ends, however it ends. Ctrl-C in a
    terminal interrupts this process alone, which can use the server until it stops it.

    Args:
        environment: The name of the environment, as ``openenv-gym serve`` takes it.
        *arguments: Further arguments of that command.
        python: Another interpreter for the environment to run in: its path, the folder of a venv,
            or a recipe. It needs numpy, and not this package.
        server_python: The path of the interpreter that runs the server; it needs this package.
        start_timeout_s: How long to wait until the server is ready, in seconds.
        token: The secret that clients have to show; it is handed over by the variable
            ``OPENENV_GYM_TOKEN``, which no list of processes shows. Unless given, the server has
            the variables of this process, with a token among them or not.

    Attributes:
        base_url: The URL of the server, without the token.

    Raises:
        InvalidRequestError: ``token`` can be none.
        EnvStartError: the server did not start.
    """

    def __init__(
        self,
        environment: str,
        *arguments: str,
        python: str | None = None,
        server_python: str = sys.executable,
        start_timeout_s: float = START_TIMEOUT_S,
        token: str | None = None,
    ) -> None:
        variables = variables_for(server_python)
        if token is not None:
            variables[TOKEN_VARIABLE] = check_token(token, "token")
        self._lifeline = Lifeline()
        command = [server_python, "-m", "openenv_gym.cli", "serve", environment, "--port=0"]
        command += [*([] if python is None else [f"--python={python}"]), *arguments]
        try:
            self._process = subprocess.Popen(
                [*command, f"--lifeline={self._lifeline.there}"],
                stdin=subprocess.DEVNULL,
                env=variables,
                pass_fds=(self._lifeline.there,),
                process_group=0,  # Ctrl-C in a terminal does not reach the server
            )
        except OSError as exc:
            self._lifeline.close()
            raise EnvStartError(f"cannot run a server with {server_python}: {exc}") from exc
        self._lifeline.handed_over()
        try:
            self.base_url = self._await_url(environment, start_timeout_s)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._process.pid

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """End the server, kill it after ``timeout_s`` seconds, and return its exit code."""
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._lifeline.close()
        return self._process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _await_url(self, environment: str, timeout_s: float) -> str:
        try:
            url = self._lifeline.read_line(timeout_s)
        except TimeoutError as exc:
            raise EnvStartError(
                f"the server for {environment} was not ready within {timeout_s:g} s"
            ) from exc
        if url is None:
            raise EnvStartError(
                f"the server for {environment} ended with exit code {self._process.wait()} before "
                "it served; what it said is above, on stderr"
            )
        return url
