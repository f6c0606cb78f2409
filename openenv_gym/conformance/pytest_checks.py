"""The checks of a server as tests of pytest, which the plugin ``pytest_openenv_gym`` adds."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from openenv_gym.conformance.validation import (
    CheckResult,
    ConformanceCheck,
    ValidationOptions,
    is_folder,
    running,
    selected,
)
from openenv_gym.conformance.validation.report import lines_of

MARKER = "openenv"


class ServerWarning(UserWarning):
    """A server does something that is against good manners, and not against the standard."""


class CheckFailedError(Exception):
    """A check failed; the text says why."""


class ServerChecks:
    """Adds a test for each check, and runs the checks when the first of them runs.

    Args:
        target: What is checked, as ``openenv-gym validate`` takes it.
        checks: The names of the checks or groups to run; all but the opt-in ones where empty.
        skips: The names of those that are left out.

    Raises:
        InvalidRequestError: a name is unknown.
    """

    def __init__(self, target: str, checks: Sequence[str], skips: Sequence[str]) -> None:
        self._target = target
        self._options = ValidationOptions(checks=checks, skips=skips)
        self._chosen = selected(self._options, "folder" if is_folder(target) else "server")
        self._stack = contextlib.ExitStack()
        self._results: Iterator[CheckResult] | None = None
        self._done: dict[str, CheckResult] = {}

    @pytest.hookimpl(tryfirst=True)  # so that -k and -m see them
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> None:
        """Add the tests."""
        parent = _Server.from_parent(session, name="openenv", nodeid="openenv")
        for check in self._chosen:
            item = _CheckItem.from_parent(parent, name=check.name, check=check, checks=self)
            item.add_marker(MARKER)
            if session.config.pluginmanager.hasplugin("xdist"):
                # One process, so that checks do not take the sessions of each other.
                item.add_marker(pytest.mark.xdist_group(MARKER))
            items.append(item)

    def pytest_sessionfinish(self) -> None:
        """End the server that was started."""
        self._stack.close()

    def result(self, check: ConformanceCheck, session: pytest.Session) -> CheckResult:
        """Return what a check says; those before it are run for that, if they were not."""
        if self._results is None:
            names = [one.check.name for one in session.items if isinstance(one, _CheckItem)]
            options = replace(self._options, checks=names, skips=())
            self._results = self._stack.enter_context(running(self._target, options=options))
        while check.name not in self._done:
            found = next(self._results)
            self._done[found.check.name] = found
        return self._done[check.name]


class _Server(pytest.Collector):
    """The server, as the parent of the tests."""

    def collect(self) -> list[pytest.Item]:
        """Return nothing: the tests are added to those that others collected."""
        return []


class _CheckItem(pytest.Item):
    """One check as a test."""

    def __init__(self, *, check: ConformanceCheck, checks: ServerChecks, **about: Any) -> None:
        super().__init__(**about)
        self.check = check
        self._checks = checks

    def runtest(self) -> None:
        """Fail, skip or warn as the check says."""
        found = self._checks.result(self.check, self.session)
        text = "\n".join(lines_of(found))
        if found.status == "skipped":
            pytest.skip(found.note)
        if found.status in ("failed", "broken"):
            raise CheckFailedError(text)
        if found.status == "warned":
            warnings.warn(ServerWarning(text), stacklevel=1)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the report of the check in place of our own stack."""
        from openenv_gym.errors import OpenEnvGymError

        if isinstance(excinfo.value, (CheckFailedError, OpenEnvGymError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where the test is: nowhere in particular."""
        return self.path, None, f"openenv {self.name}"
