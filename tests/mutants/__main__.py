"""Plant the faults of the list into copies of the checkout, one at a time; say which are found.

``make mutants`` runs this. Each mutant runs the tests that its row names. Where these pass, it is
missed, or with ``--whole`` the rest of ``make test`` gets a chance to find it. At last the tests
that failed run once more, without a mutant: a test that fails then, too, has found nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutants import MAY_BE_MISSED, MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".venv-*", "__pycache__", ".*_cache", ".hypothesis"
)
PASSED, FAILED, STOPPED = 0, 1, 2  # what pytest ends with
WHOLE_RUN_S = 3 * 3600.0
_FRESH_S = itertools.count(1)
_RUNNING: set[subprocess.Popen[str]] = set()
_IS_ENDING = threading.Event()


class ListError(Exception):
    """A row of the list that does not fit the code or names tests that are not there."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a mutant.

    Attributes:
        mutant: The mutant.
        found_by: The test that failed; None where none did.
        seconds: How long the tests took.
    """

    mutant: Mutant
    found_by: str | None
    seconds: float

    def __str__(self) -> str:
        """Return a row of the table."""
        found = "MISSED" if self.found_by is None else "found "
        return f"{found}  {self.seconds:6.1f} s  {self.mutant.name:<34}  {self.found_by or ''}"


class Checkout:
    """A copy of the checkout, whose tests and all that they start import the copy.

    ``PYTHONPATH`` goes before what an editable installation says, also in workers and servers.

    Args:
        folder: Where to make the copy.
        timeout_s: How long one test may take.
    """

    def __init__(self, folder: Path, timeout_s: float) -> None:
        self._folder = folder
        self._timeout_s = timeout_s
        shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
        for venv in ROOT.glob(".venv-openenv*"):  # which hold OpenEnv, and nothing of ours
            (folder / venv.name).symlink_to(venv)

    @contextmanager
    def planted(self, mutant: Mutant) -> Iterator[None]:
        """Have the copy contain ``mutant``.

        Raises:
            ListError: the text that it replaces does not occur exactly once.
        """
        path = self._folder / mutant.file
        before = path.read_text(encoding="utf-8")
        if (count := before.count(mutant.old)) != 1:
            raise ListError(f"{mutant.name}: its text occurs {count} times in {mutant.file}")
        self._write(path, before.replace(mutant.old, mutant.new))
        try:
            yield
        finally:
            self._write(path, before)

    def failing(self, tests: Iterable[str], *options: str, limit_s: float) -> list[str]:
        """Run tests, and return those that failed.

        Raises:
            ListError: there are no such tests.
        """
        if _IS_ENDING.is_set():
            raise ListError("ended by a signal")
        command = [sys.executable, "-m", "pytest", "-q", "--cache-clear", *options, *tests]
        failed = self._folder / ".pytest_cache/v/cache/lastfailed"
        failed.unlink(missing_ok=True)  # of the tests before, where these end before they write
        process = subprocess.Popen(
            [*command, f"--timeout={self._timeout_s:g}"],
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": str(self._folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        _RUNNING.add(process)
        try:
            said, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            return [f"(no end within {limit_s:g} s)"]
        finally:
            _RUNNING.discard(process)
            _end_group(process)
        if process.returncode == PASSED:
            return []
        if process.returncode > STOPPED:
            raise ListError(f"pytest could not run {' '.join(tests)}:\n{said[-2000:]}")
        known = list(json.loads(failed.read_text())) if failed.exists() else []
        return known or [f"(pytest ended with {process.returncode})"]

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8")
        # Python takes what it has compiled for new where size and second of a file are the same.
        fresh_s = next(_FRESH_S)
        os.utime(path, (fresh_s, fresh_s))


def _end_group(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def judge(checkout: Checkout, mutant: Mutant, options: argparse.Namespace) -> Verdict:
    """Run the tests that ``mutant`` names, and the others too where that is asked for."""
    began_s = time.monotonic()
    with checkout.planted(mutant):
        limit_s = 5 * options.timeout
        failed = checkout.failing(mutant.tests, "-x", limit_s=limit_s)
        if not failed and options.whole:
            failed = checkout.failing((), "-x", limit_s=WHOLE_RUN_S)
    seconds = time.monotonic() - began_s
    return Verdict(mutant=mutant, found_by=failed[0] if failed else None, seconds=seconds)


def judge_all(mutants: Sequence[Mutant], options: argparse.Namespace) -> list[Verdict]:
    """Judge mutants, as many at a time as there are workers, and print a row for each."""
    checkouts: queue.SimpleQueue[Checkout] = queue.SimpleQueue()

    def judge_one(mutant: Mutant) -> Verdict:
        checkout = checkouts.get()
        try:
            verdict = judge(checkout, mutant, options)
        finally:
            checkouts.put(checkout)
        print(verdict, flush=True)
        return verdict

    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        for number in range(options.workers):
            checkouts.put(Checkout(Path(folder, str(number)), options.timeout))
        with ThreadPoolExecutor(options.workers) as pool:
            verdicts = list(pool.map(judge_one, mutants))
        return without_false_finds(verdicts, checkouts.get())


def without_false_finds(verdicts: Sequence[Verdict], checkout: Checkout) -> list[Verdict]:
    """Take back what was found by tests that fail without a mutant, too."""
    found_by = dict.fromkeys(one.found_by for one in verdicts if one.found_by)
    tests = [test for test in found_by if not test.startswith("(")]
    failing = checkout.failing(tests, limit_s=WHOLE_RUN_S) if tests else []
    for test in failing:
        print(f"fails without a mutant, too, and so has found nothing: {test}")
    return [
        Verdict(mutant=one.mutant, found_by=None, seconds=one.seconds)
        if one.found_by in failing
        else one
        for one in verdicts
    ]


def _end(number: int, frame: object) -> None:
    """End this process and the tests that it runs, which are not of its own group."""
    _IS_ENDING.set()
    for process in list(_RUNNING):
        _end_group(process)
    sys.exit(128 + number)


def main() -> int:
    """Run the script."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    names = [mutant.name for mutant in MUTANTS]
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help="these mutants")
    parser.add_argument("--workers", type=int, default=2, help="how many at a time")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds for one test")
    parser.add_argument(
        "--whole", action="store_true", help="run all tests where those of the row pass"
    )
    options = parser.parse_args()
    chosen = [one for one in MUTANTS if options.only is None or one.name in options.only]
    try:
        verdicts = judge_all(chosen, options)
    except ListError as exc:
        print(exc, file=sys.stderr)
        return 2
    missed = [one for one in verdicts if one.found_by is None]
    print(f"\n{len(verdicts) - len(missed)} of {len(verdicts)} mutants are found")
    for one in missed:
        where = "all tests" if options.whole else "the named tests"
        print(f"missed by {where}: {one.mutant.name} in {one.mutant.file}: {one.mutant.wrong}")
    return int(len(missed) > (MAY_BE_MISSED if options.only is None else 0))


if __name__ == "__main__":
    sys.exit(main())
