"""Judges many environments, each in a process of its own.

An environment that crashes or hangs ends only its own process. The process writes each judgement to
a file at once, so that earlier ones are kept.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import gymnasium as gym
import msgspec

from openenv_gym.conformance.judge import Judgement, Play, judge
from openenv_gym.envs.registration import BASE_URL_VARIABLE, NAMESPACE
from openenv_gym.interpreter.lifeline import watch_lifeline
from openenv_gym.workers.lifeline import Lifeline

TIMEOUT_S = 900.0
_ALE = "ale_py"


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """The task of one process.

    Attributes:
        env_id: The id of the environment to judge.
        play: How much is played.
        results: The path of the file for its judgements, one as JSON on each line.
        lifeline: The descriptor of its lifeline, a socket whose end ends the process.
    """

    env_id: str
    play: Play
    results: str
    lifeline: int


def registry_ids() -> list[str]:
    """Return the ids in ``gymnasium.registry`` in a form that a new process can make.

    Each Atari game is listed once, as ``ale_py:ALE/<Game>-v5``, if ``ale_py`` is installed; its
    older ids are variants of the same game. This package's own ids are left out: they lead to
    other environments.
    """
    if importlib.util.find_spec(_ALE) is not None:
        importlib.import_module(_ALE)  # registers its games
    ids = []
    for spec in gym.registry.values():
        package = spec.entry_point.split(".")[0] if isinstance(spec.entry_point, str) else ""
        if spec.namespace == NAMESPACE or (package == _ALE and spec.namespace is None):
            continue
        is_builtin = package in ("", "gymnasium")
        ids.append(spec.id if is_builtin else f"{package}:{spec.id}")
    return ids


def survey(
    env_ids: Sequence[str], play: Play, timeout_s: float = TIMEOUT_S, jobs: int = 1
) -> Iterator[Judgement]:
    """Judge each environment in a process of its own; yield the outcomes in the order of the ids.

    Args:
        env_ids: Names of environments, as ``serve`` takes them.
        play: How much is played.
        timeout_s: The time limit of one environment, in seconds.
        jobs: The number of environments that are played at a time.
    """
    with ThreadPoolExecutor(jobs) as pool:
        for outcomes in pool.map(partial(_judge_apart, play=play, timeout_s=timeout_s), env_ids):
            yield from outcomes


def complaint(outcomes: Sequence[Judgement], named: Sequence[str] = ()) -> str | None:
    """Return what is wrong with ``outcomes`` in one sentence, None if nothing is.

    Args:
        outcomes: The judgements of a survey.
        named: The ids that the user named. It is wrong if one of these could not be judged.
    """
    counts = {
        "differ from what they say in process": {
            outcome.env_id for outcome in outcomes if outcome.verdict == "differs"
        },
        "could not be judged": {
            outcome.env_id
            for outcome in outcomes
            if outcome.verdict not in ("identical", "differs")
            and (outcome.env_id in named or outcome.verdict == "stopped")
        },
    }
    found = [f"{', '.join(sorted(ids))} {what}" for what, ids in counts.items() if ids]
    return f"{'; '.join(found)}: see the lines above" if found else None


def _judge_apart(env_id: str, play: Play, timeout_s: float) -> list[Judgement]:
    with tempfile.TemporaryDirectory() as folder:
        results, said = Path(folder, "results"), Path(folder, "said")
        results.touch()
        why = _run_apart(env_id, play, results, said, timeout_s)
        lines = results.read_bytes().splitlines()
        outcomes = [msgspec.json.decode(line, type=Judgement) for line in lines]
        if why is not None:
            last = said.read_text(errors="replace").strip().splitlines()[-1:]
            detail = ": ".join([why, *last])
            outcomes.append(Judgement(env_id=env_id, verdict="stopped", detail=detail))
        return outcomes


def _run_apart(env_id: str, play: Play, results: Path, said: Path, timeout_s: float) -> str | None:
    """Run one process to its end; return what went wrong, None if nothing went wrong."""
    lifeline = Lifeline()
    task = Task(env_id=env_id, play=play, results=str(results), lifeline=lifeline.there)
    # With this variable, environments that should be embedded would go to a server.
    environment = {key: value for key, value in os.environ.items() if key != BASE_URL_VARIABLE}
    try:
        with said.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "openenv_gym.conformance", msgspec.json.encode(task)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environment,
                pass_fds=(lifeline.there,),
            )
        lifeline.handed_over()
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return f"no end within {timeout_s:g} s"
    finally:
        lifeline.close()
    return None if code == 0 else f"the process ended with exit code {code}"


def main(argument: str) -> None:
    """Do the task in ``argument``, a JSON text, in the process that was started for it."""
    task = msgspec.json.decode(argument, type=Task)
    watch_lifeline(task.lifeline)
    with open(task.results, "ab", buffering=0) as results:
        for outcome in judge(task.env_id, task.play):
            results.write(msgspec.json.encode(outcome) + b"\n")
