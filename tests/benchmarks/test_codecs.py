"""``python -m benchmarks codecs``: what it writes, and what it says of its peers. No times."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium.spaces as gs
import msgpack
import msgpack_numpy
import numpy as np
import orjson
import pytest

from benchmarks.children import BenchmarkError
from benchmarks.codecs import Ways, loop_ns, loop_size, measure, ways_of
from benchmarks.report import replace_block
from benchmarks.samples import Sample, all_samples, losses

pytestmark = pytest.mark.timeout(600)  # the first test runs the benchmark

ROOT = Path(__file__).parents[2]
ROUNDS = 2
STEP_BLOCK = "<!-- step: begin, written by the benchmark -->\n\nof step\n\n<!-- step: end -->\n"
BEGIN, END = "<!-- codecs: begin, written by the benchmark -->", "<!-- codecs: end -->"
DIRECTIONS = ("encode", "decode")
CODECS = ["memcpy", "binary", "message", "json", "msgpack", "pickle", "orjson", "orjson_array"]
KINDS = {
    gs.Box,
    gs.Discrete,
    gs.MultiDiscrete,
    gs.MultiBinary,
    gs.Text,
    gs.Dict,
    gs.Tuple,
    gs.Sequence,
    gs.Graph,
    gs.OneOf,
}
SAMPLES = {sample.name: sample for sample in all_samples()}
ARRAYS = [name for name, sample in SAMPLES.items() if isinstance(sample.value, np.ndarray)]
ARRAY = np.array([0.0, 1.5], np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("codecs")
    # The block of another part, and an older one of this part.
    (folder / "README.md").write_text(f"before\n{STEP_BLOCK}{BEGIN}\noutdated\n{END}\nafter\n")
    options = [f"--rounds={ROUNDS}", "--loop-ms=1", f"--output={folder}"]
    command = [sys.executable, "-m", "benchmarks", "codecs", *options]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, Any]:
    text = (folder / "results/codecs.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@pytest.fixture(scope="module")
def cases(results: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(case["sample"], case["codec"]): case for case in results["cases"]}


def ways(sample: Sample, name: str) -> Ways:
    return ways_of(sample, {})[name]


def test_every_kind_of_space_has_a_value_with_something_in_it() -> None:
    assert {type(sample.space) for sample in SAMPLES.values()} == KINDS
    for sample in SAMPLES.values():
        assert sample.space.contains(sample.value)
    assert len(SAMPLES["text"].value) == 28
    assert len(SAMPLES["sequence"].value) == 3
    assert SAMPLES["graph"].value.nodes.shape == (10, 3)
    assert SAMPLES["graph"].value.edges.shape == (76,)
    assert isinstance(SAMPLES["one_of"].value[1], np.ndarray)


def test_every_case_has_a_positive_time_for_each_round(
    results: dict[str, Any], cases: dict[tuple[str, str], dict[str, Any]]
) -> None:
    assert [codec["name"] for codec in results["codecs"]] == CODECS
    assert [sample["name"] for sample in results["samples"]] == list(SAMPLES)
    rebuilt = {(name, "orjson_array") for name in SAMPLES if name not in ARRAYS}
    assert set(cases) == {(s, c) for s in SAMPLES for c in CODECS} - rebuilt
    for case in cases.values():
        for direction in DIRECTIONS if "error" not in case else ():
            times = case[direction]
            assert len(times["us_per_call"]) == ROUNDS
            assert 0 < times["min"] <= times["median"] <= times["max"]


def test_ratios_and_verdicts_follow_from_the_times(
    results: dict[str, Any], cases: dict[tuple[str, str], dict[str, Any]]
) -> None:
    ratios = {ratio["formula"]: ratio for ratio in results["ratios"]}
    assert len(ratios) == 8
    for direction in DIRECTIONS:
        below = cases["image", "memcpy"][direction]["us_per_call"]
        for codec in ("binary", "message"):
            above = cases["image", codec][direction]["us_per_call"]
            recomputed = [a / b for a, b in zip(above, below, strict=True)]
            image = ratios[f"image.{direction}.{codec} / image.{direction}.memcpy"]
            assert image["per_round"] == pytest.approx(recomputed, rel=1e-3, abs=1e-3)
            assert image["hit"] == (statistics.median(recomputed) <= 2)
            small = ratios[f"cartpole.{direction}.{codec}"]
            times = cases["cartpole", codec][direction]
            assert small["per_round"] == pytest.approx(times["us_per_call"], abs=1e-3)
            assert small["hit"] == (times["median"] <= 5) and small["unit"] == "µs"


def test_what_is_said_to_come_back_is_a_fact(
    cases: dict[tuple[str, str], dict[str, Any]],
) -> None:
    def lossless(codec: str) -> set[str]:
        return {s for (s, c), case in cases.items() if c == codec and case.get("losses") == []}

    for codec in ("binary", "message", "pickle"):
        assert lossless(codec) == set(SAMPLES)
    assert lossless("json") == set(SAMPLES) - {"discrete", "dict", "tuple"}
    assert lossless("orjson_array") == set(ARRAYS)
    # What the peers really give back, without the cases.
    for name, sample in SAMPLES.items():
        packed = msgpack.packb(sample.value, default=msgpack_numpy.encode)
        back = msgpack.unpackb(packed, object_hook=msgpack_numpy.decode)
        assert cases[name, "msgpack"]["losses"] == losses(sample.value, back)
    for name in ARRAYS:
        text = orjson.dumps(SAMPLES[name].value, option=orjson.OPT_SERIALIZE_NUMPY)
        assert type(orjson.loads(text)) is list
        assert cases[name, "orjson"]["losses"] == ["list for ndarray"]
    with pytest.raises(TypeError, match="GraphInstance"):
        orjson.dumps(SAMPLES["graph"].value, option=orjson.OPT_SERIALIZE_NUMPY)
    assert "GraphInstance" in cases["graph", "orjson"]["error"]


def test_only_the_block_of_the_part_is_rewritten(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"before\n{STEP_BLOCK}{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "outdated" not in text
    assert text.count("\n| image |") == 2  # to bytes, and back
    assert "| orjson | lossy: list for ndarray | " in text


def test_a_block_of_step_leaves_that_of_codecs_alone(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    replace_block(path, "codecs", "of codecs")
    replace_block(path, "step", "of step")
    replace_block(path, "step", "of step again")
    text = path.read_text(encoding="utf-8")
    assert text.count("of codecs\n") == text.count("of step again\n") == 1
    assert "of step\n" not in text


@pytest.mark.parametrize("name", SAMPLES)
def test_the_limit_copies_the_bytes_of_the_binary_form(name: str) -> None:
    limit, binary = ways(SAMPLES[name], "memcpy"), ways(SAMPLES[name], "binary")
    copied, array = limit.encode(), limit.decode()
    assert type(copied) is bytes and copied == binary.encode()
    assert isinstance(array, np.ndarray) and array.tobytes() == copied
    assert array.flags.owndata and array.flags.writeable


def test_the_message_of_the_image_is_its_bytes_behind_sixteen() -> None:
    body = ways(SAMPLES["image"], "message").encode()
    assert isinstance(body, bytes)
    assert body[16:] == SAMPLES["image"].value.tobytes()


def test_a_peer_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "orjson", None)
    with pytest.raises(BenchmarkError, match=r"orjson.*`dev` extra"):
        ways_of(SAMPLES["cartpole"], {})


@pytest.mark.parametrize(
    ("value", "back", "expected"),
    [
        (ARRAY, ARRAY.copy(), []),
        (ARRAY, ARRAY.tolist(), ["list for ndarray"]),
        (ARRAY, ARRAY.astype(np.float64), ["float64 for float32"]),
        (ARRAY, ARRAY.reshape(1, 2), ["another shape"]),
        (ARRAY, np.array([-0.0, 1.5], np.float32), ["other numbers"]),
        (ARRAY, np.frombuffer(ARRAY.tobytes(), np.float32), ["read-only arrays"]),
        (np.int64(3), 3, ["int for int64"]),
        ((ARRAY, 1), [ARRAY.tolist(), 1], ["list for ndarray", "list for tuple"]),
        ((1, 2), (1,), ["another length"]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, ["another int", "another str"]),
        ({"a": 1}, {}, ["another length"]),
        (math.nan, math.nan, []),
        ("a", "b", ["another str"]),
    ],
)
def test_losses_are_named(value: Any, back: Any, expected: list[str]) -> None:
    assert losses(value, back) == expected


def test_calls_take_turns_and_garbage_is_not_collected_meanwhile() -> None:
    import gc

    turns: list[str] = []

    def call(name: str) -> Callable[[], None]:
        return lambda: None if gc.isenabled() else turns.append(name)

    times = measure({"a": call("a"), "b": call("b")}, 3, 1)
    changes = [name for i, name in enumerate(turns) if i == 0 or turns[i - 1] != name]
    assert changes == ["a", "b"] * 3
    assert gc.isenabled()
    assert {name: len(values) for name, values in times.items()} == {"a": 3, "b": 3}


def test_a_loop_is_as_long_as_it_is_asked_to_be() -> None:
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1

    assert loop_ns(call, 7) > 0
    assert calls == 7
    assert loop_size(call, 1) == 1
    assert loop_size(call, 20_000_000) > 1
