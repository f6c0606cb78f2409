"""Judgements as a page of markdown."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from openenv_gym.conformance.judge import PICTURE_NUMBERS, Judgement, Play

_PACKAGES = ("openenv-gym", "gymnasium", "numpy", "box2d", "mujoco", "ale-py")
_UNJUDGED = ("not built", "raises", "nondeterministic", "stopped")
HEAD = """# Environments

Which environments give the same numbers through this package as in process: each was played
beside itself, with the same seeds and the same actions, and every observation, reward, flag and
info was compared to the bit, with dtypes, shapes, signed zeros and the bits of NaN.

| | |
|---|---|
| command | `{command}` |
| date | {date} |
| versions | {versions} |
| played | {seeds} seeds of {steps} steps; {picture_steps} steps a seed of pictures (over \
{picture_numbers:,} numbers) over JSON, where one takes tens of milliseconds; resets in between \
without a seed |
| transports | embedded: the worker process that `gymnasium.make` starts; binary and JSON: a \
WebSocket of `openenv-gym serve`, with the default isolation |
| judged | {judged} environments: {identical} identical over every transport, {different} not |
| not judged | {unjudged} environments, listed at the end |

`openenv/gymnasium-v0` takes every id below as `env_id`; Gymnasium's own have an id of their own
too, such as `openenv/CartPole-v1`. Of each Atari game the newest id is listed, `ALE/<Game>-v5`,
and not the older ones (`Pong-v4`, `PongNoFrameskip-v4`), which set other arguments of the same
game. Write this page anew with the command above, or check an environment of your own with
`openenv-gym parity module:id`.
"""


def page(outcomes: Iterable[Judgement], play: Play, command: str) -> str:
    """Return the page for ``outcomes``, which ``command`` gave with the amounts of ``play``."""
    rows: dict[str, list[Judgement]] = {}
    for outcome in outcomes:
        rows.setdefault(outcome.env_id, []).append(outcome)
    judged = {key: row for key, row in rows.items() if row[-1].verdict not in _UNJUDGED}
    unjudged = [row[-1] for key, row in rows.items() if key not in judged]
    identical = sum(_is_identical(row) for row in judged.values())
    head = HEAD.format(
        command=command,
        date=datetime.date.today(),
        versions=_versions(),
        seeds=play.seeds,
        steps=play.steps,
        picture_steps=play.picture_steps,
        picture_numbers=PICTURE_NUMBERS,
        judged=len(judged),
        identical=identical,
        different=len(judged) - identical,
        unjudged=len(unjudged),
    )
    by_family = sorted(judged.values(), key=lambda row: row[0].family.lower())
    parts = [head]
    for family, group in groupby(by_family, key=lambda row: row[0].family):
        parts.append(_family(family, list(group), play.transports))
    parts.append(_unjudged(unjudged))
    return "\n".join(parts)


def _is_identical(row: Sequence[Judgement]) -> bool:
    return all(outcome.verdict == "identical" for outcome in row)


def _versions() -> str:
    found = [f"Python {platform.python_version()}", platform.system()]
    for package in _PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def _family(family: str, group: Sequence[Sequence[Judgement]], transports: Sequence[str]) -> str:
    lines = [
        f"## {family}",
        "",
        f"| environment | {' | '.join(transports)} |",
        "|---|" + "---|" * len(transports),
    ]
    for row in group:
        by_transport = {outcome.transport: outcome for outcome in row}
        cells = [_cell(by_transport[transport]) for transport in transports]
        lines.append(f"| `{row[0].env_id}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(outcome: Judgement) -> str:
    if outcome.verdict != "identical":
        return f"**{outcome.verdict}**: {_escaped(outcome.detail)}"
    lost = f"; left out: {_escaped(', '.join(outcome.left_out))}" if outcome.left_out else ""
    return f"identical, {outcome.steps} steps{lost}"


def _unjudged(outcomes: Sequence[Judgement]) -> str:
    """Return a table of a row for each reason, since many environments share one."""
    reasons: dict[str, list[str]] = {}
    for outcome in outcomes:
        why = f"{outcome.verdict}: {_escaped(outcome.detail)}"
        reasons.setdefault(why, []).append(f"`{outcome.env_id}`")
    if not reasons:
        return ""
    lines = ["## Not judged", "", "| environments | why |", "|---|---|"]
    lines += [f"| {', '.join(ids)} | {why} |" for why, ids in reasons.items()]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return re.sub(r"<(?=[a-zA-Z/!])", "&lt;", text.replace("|", "\\|"))
