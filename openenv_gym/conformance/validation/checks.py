"""What a check is, what it says, and the one table of all checks.

A check is a generator function. It yields a :class:`Complaint` for each thing that is wrong, and
may return a sentence on what it saw. It raises :class:`NotCheckedError` where it cannot look, and
:class:`BrokenError` where it cannot go on because of what is wrong.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from openenv_gym.wire.error_codes import brief, printable

Status = Literal["passed", "warned", "failed", "skipped", "broken"]
Of = Literal["server", "folder"]

_MAX_QUOTED_CHARS = 400


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """One thing that is wrong, with its proof.

    Attributes:
        expected: What should have come.
        got: What came.
        evidence: What was sent and received, one line each, cut to a readable length. A line
            begins with ``>`` where the checker sent it, and with ``<`` where the server did.
        is_warning: Whether it is against good manners alone; else it is against OpenEnv's standard.
    """

    expected: str
    got: str
    evidence: tuple[str, ...] = ()
    is_warning: bool = False


Findings: TypeAlias = Generator[Complaint, None, str | None]


class NotCheckedError(Exception):
    """A check cannot look; the text says why."""


class BrokenError(Exception):
    """A check cannot go on, because of what ``complaint`` says."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(f"expected {complaint.expected}, got {complaint.got}")
        self.complaint = complaint


@dataclass(frozen=True, kw_only=True)
class ConformanceCheck:
    """One check.

    Attributes:
        name: The group and the name in it, such as ``input.json``.
        says: What is expected of the server or the folder, in one sentence.
        rests_on: The text that asks for it.
        run: Looks at a server or a folder.
        of: What it looks at.
        needs: The checks without which this one has nothing to look at.
        is_opt_in: Whether it runs only if it is named, because it may harm the server, or needs
            something that only the caller knows.
    """

    name: str
    says: str
    rests_on: str
    run: Callable[[Any], Findings]
    of: Of
    needs: tuple[str, ...] = ()
    is_opt_in: bool = False


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What one check has said.

    Attributes:
        check: The check.
        status: ``passed``, ``warned`` (against good manners), ``failed`` (against the standard),
            ``skipped``, or ``broken`` where the checker itself failed.
        complaints: What is wrong.
        note: What was seen where it passed, why it was skipped, or how the checker failed.
        took_s: How long it took, in seconds.
    """

    check: ConformanceCheck
    status: Status
    complaints: tuple[Complaint, ...] = ()
    note: str = ""
    took_s: float = 0.0


CHECKS: dict[str, ConformanceCheck] = {}
"""All checks by their names, in the order in which they run."""


def check(
    name: str, says: str, *, rests_on: str, needs: Sequence[str] = (), **more: Any
) -> Callable[[Callable[[Any], Findings]], Callable[[Any], Findings]]:
    """Return a decorator that adds a function to the table.

    Args:
        name: An attribute of :class:`ConformanceCheck`, as all others.
        says: What is expected.
        rests_on: The text that asks for it.
        needs: The checks that have to run well before.
        **more: ``of``, ``"server"`` unless given, and ``is_opt_in``.
    """

    def add(run: Callable[[Any], Findings]) -> Callable[[Any], Findings]:
        unknown = [one for one in needs if one not in CHECKS]
        assert name not in CHECKS and not unknown, (name, unknown)
        about: dict[str, Any] = {"of": "server", **more}
        CHECKS[name] = ConformanceCheck(
            name=name, says=says, rests_on=rests_on, run=run, needs=tuple(needs), **about
        )
        return run

    return add


def run_check(one: ConformanceCheck, subject: Any) -> CheckResult:
    """Run a check on a server or a folder. Nothing is raised: what goes wrong is in the result."""
    began_s = time.monotonic()
    complaints: list[Complaint] = []
    status: Status | None = None
    note = ""
    try:
        findings = one.run(subject)
        while True:
            complaints.append(next(findings))
    except StopIteration as end:
        note = end.value or ""
    except BrokenError as exc:
        complaints.append(exc.complaint)
    except NotCheckedError as exc:
        status, note = "skipped", str(exc)
    except Exception as exc:  # a mistake of ours: the other checks are still worth running
        where = traceback.extract_tb(exc.__traceback__)[-1]
        note = f"{type(exc).__name__}: {exc} ({where.filename}, line {where.lineno})"
        status = "broken"
    if complaints and status != "broken":
        status = "warned" if all(found.is_warning for found in complaints) else "failed"
    return CheckResult(
        check=one,
        status=status or "passed",
        complaints=tuple(complaints),
        note=brief(printable(note), 2 * _MAX_QUOTED_CHARS),
        took_s=time.monotonic() - began_s,
    )


def quoted(data: Any) -> str:
    """Return ``data`` for people: JSON, bytes or a text, cut to a readable length."""
    if isinstance(data, (bytes, bytearray)):
        text = f"{len(data)} bytes {bytes(data[:80])!r}"
    else:
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return printable(brief(" ".join(text.split()), _MAX_QUOTED_CHARS))
