"""A run of a part: its options, where and when it was, and how its figures are written."""

import argparse
import json
import os
import platform
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.rounds import Ratio, Result
from benchmarks.stock_python import SERVING, stock_python, stock_versions

PACKAGES = ("gymnasium", "numpy", "msgspec", *SERVING)


class Table(NamedTuple):
    """A table; its first ``texts`` columns are texts, the others are numbers."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1

    def plain(self) -> str:
        lines = [self.heads, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        forms = [f"{'<' if i < self.texts else '>'}{width}" for i, width in enumerate(widths)]
        return "\n".join("  ".join(map(format, line, forms)).rstrip() for line in lines) + "\n"

    def markdown(self) -> str:
        rule = ["---" if i < self.texts else "---:" for i in range(len(self.heads))]
        cells = [[cell.replace("*", r"\*") for cell in row] for row in self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in [self.heads, rule, *cells])


class Run:
    """A run of a part, from now on.

    Args:
        part: Its name.
        options: Its command line.
        packages: Whose versions are noted.
        stock_modules: What the Python of the stock peer must have besides OpenEnv and Gymnasium.
    """

    def __init__(
        self,
        part: str,
        options: argparse.Namespace,
        packages: Sequence[str] = PACKAGES,
        stock_modules: Sequence[str] = (),
    ) -> None:
        os.environ.pop("OPENENV_BASE_URL", None)  # it would make embedded environments remote ones
        self.part, self.folder = part, options.output
        self.python: Path | None = None
        self.stock: dict[str, str] | None = None
        if not getattr(options, "without_stock", True):
            self.python = stock_python(options.stock_python)
            self.stock = stock_versions(self.python, *stock_modules)
        self.machine = this_machine(packages)
        self.date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        self._load = _load_average()

    def publish(
        self,
        data: Mapping[str, Any],
        tables: Sequence[Table],
        about: str,
        notes: Sequence[str] = (),
    ) -> None:
        """Print tables and notes, and write them as JSON and into the README of the folder.

        Args:
            data: The JSON.
            tables: What was measured; empty ones are left out.
            about: What the run did, for the first note.
            notes: What else is to be known of it.
        """
        command, load = f"python -m benchmarks {self.part}", [self._load, _load_average()]
        head = {"command": command, "date": self.date, "machine": self.machine}
        head |= {"load_average": {"start": load[0], "end": load[1]}, "stock_versions": self.stock}
        places = [
            f"`{command}`, {self.date}: {about}",
            "{cpu}, {cores} cores, {kernel}, {python}; ".format(**self.machine)
            + f"load average {load[0][0]:.2f} at the start, {load[1][0]:.2f} at the end.",
            f"Ours: {_listed(self.machine['versions'])}.",
        ]
        if self.stock is not None:
            places.append(f"Stock: {_listed(self.stock)}.")
        tables = [table for table in tables if table.rows]
        results = self.folder / "results"
        results.mkdir(parents=True, exist_ok=True)
        compact = partial(json.dumps, separators=(",", ":"), default=asdict)
        lines = [f"{compact(name)}:{compact(value)}" for name, value in {**head, **data}.items()]
        text = "{\n" + ",\n".join(lines) + "\n}\n"
        (results / f"{self.part}.json").write_text(text, encoding="utf-8")
        print("\n".join([*(table.plain() for table in tables), *places, *notes]))
        parts = [table.markdown() for table in tables]
        parts.append("\n".join(f"- {line}" for line in [*places, *notes]))
        replace_block(self.folder / "README.md", self.part, "\n\n".join(parts))


def this_machine(packages: Sequence[str]) -> dict[str, Any]:
    """Return what runs where; no name of the host, of a user or of a folder is in it."""
    cpuinfo, versions = Path("/proc/cpuinfo"), {}
    models = re.findall(r"model name\s*: (.*)", cpuinfo.read_text() if cpuinfo.exists() else "")
    release = re.match(r"[0-9.]*[0-9]", platform.release())  # without the name of the build
    for name in ("openenv-gym", *packages):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if platform.system() == "Linux" else os.cpu_count(),
        "kernel": f"{platform.system()} {release[0] if release else ''} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": versions,
    }


def _load_average() -> list[float]:
    return [round(load, 2) for load in os.getloadavg()]


def _listed(versions: Mapping[str, str]) -> str:
    text = ", ".join(f"{name} {version}" for name, version in versions.items())
    if "uvicorn" not in versions:
        return text
    loop = "uvloop" if "uvloop" in versions else "asyncio's"  # which uvicorn takes if it is there
    return f"{text}; event loop of the server: {loop}"


def replace_block(path: Path, name: str, text: str) -> None:
    """Put ``text`` between the two comments that mark the block ``name`` of a Markdown file.

    A file that is not there is begun; one without the marks gets them at its end.
    """
    begin, end = f"<!-- {name}: begin, written by the benchmark -->", f"<!-- {name}: end -->"
    block = f"{begin}\n\n{text}\n\n{end}"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    new, found = pattern.subn(lambda match: block, old)
    path.write_text(new if found else f"{old}\n{block}\n".lstrip("\n"), encoding="utf-8")


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return median, minimum and maximum."""
    return statistics.median(values), min(values), max(values)


def summary(unit: str, values: Sequence[float], digits: int) -> dict[str, Any]:
    """Return median, minimum, maximum and, by the name of their unit, all values."""
    median, low, high = (round(value, digits) for value in spread(values))
    rounded = [round(value, digits) for value in values]
    return {"median": median, "min": low, "max": high, unit: rounded}


def cases_json(result: Result, unit: str, digits: int = 3) -> list[dict[str, Any]]:
    """Return the cases of a group that were measured."""
    group, times = result.group, result.times_us
    return [
        {
            "name": case.name,
            "label": case.label,
            "kind": case.kind,
            "steps_per_round": group.workload(1, case.share).steps,
            **summary(unit, times[case.name], digits),
        }
        for case in group.cases
        if case.name in times
    ]


def times_table(head: str, result: Result) -> Table:
    rows = [
        [case.label, case.name, *(f"{us:.1f}" for us in spread(result.times_us[case.name]))]
        for case in result.group.cases
    ]
    return Table([head, "name", "median µs", "min µs", "max µs"], rows, texts=2)


def compared(
    ratios: Sequence[Ratio], times: Mapping[str, Sequence[float]]
) -> tuple[list[dict[str, Any]], Table]:
    """Return the ratios whose cases were measured, as JSON and as a table."""
    data, rows = [], []
    for ratio in ratios:
        if not ratio.cases <= times.keys():
            continue
        values, part, hit = ratio.per_round(times), ratio.reached(times), ratio.hit(times)
        of_target = None if part is None else round(part, 4)
        verdicts = {"formula": ratio.formula, "of_target": of_target, "hit": hit}
        data.append({**asdict(ratio), **verdicts, **summary("per_round", values, digits=4)})
        median, low, high = (f"{value:.2f}" for value in spread(values))
        share = "" if part is None else f"{part:.0%}"
        row = [ratio.formula, median, f"{low} to {high}", ratio.target, share, verdict(hit)]
        rows.append(row)
    heads = ["ratio of each round", "median", "min to max", "target", "of the target", ""]
    return data, Table(heads, rows)


def verdict(hit: bool | None) -> str:
    return "" if hit is None else "hit" if hit else "missed"
