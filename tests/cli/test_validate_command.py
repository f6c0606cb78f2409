"""``openenv-gym validate``: what it prints, what it writes, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from openenv_gym.cli import main
from openenv_gym.conformance import ValidationOptions, validate
from openenv_gym.conformance.validation import CHECKS
from openenv_gym.errors import InvalidRequestError
from tests.conformance import planted
from tests.support import uvicorn_thread

DOCS = Path(__file__).parents[2] / "docs"
QUICK = ValidationOptions(pause_s=0.1, plan_steps=5, sessions=4)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with uvicorn_thread.serving(planted.app()) as url:
        yield url


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["validate", *arguments])
    return int(ended.value.code or 0)


def test_a_report_for_people(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"{url}/HasNoMcp", "--check", "http.mcp", "--check", "http.health") == 1
    said = capsys.readouterr().out.splitlines()
    assert said[:7] == [
        "passed   http.health",
        "FAILED   http.mcp",
        '         expected: HTTP 200 and {"jsonrpc": "2.0"}',
        "         got: HTTP 404",
        "           > POST /mcp {}",
        '           < HTTP 404 {"detail":"Not Found"}',
        f"         rests on: {CHECKS['http.mcp'].rests_on}",
    ]
    assert said[-1].endswith("2 checks: 1 passed, 0 warning, 1 failed, 0 skipped, 0 broken")


def test_json_and_junit_say_the_same(
    url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "report.xml"
    asked = ("--check=http", "--skip=http.step", "--junit", str(path), "--json")
    assert run(f"{url}/HasNoMcp", *asked) == 1
    said = json.loads(capsys.readouterr().out)
    statuses = {one["name"]: one["status"] for one in said["checks"]}
    assert statuses.pop("http.mcp") == "failed" and set(statuses.values()) == {"passed"}
    assert said["exit_code"] == 1 and not said["passed"]
    suite = ElementTree.parse(path).getroot()
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == ["http.mcp"] and suite.get("tests") == str(len(said["checks"]))


def test_a_warning_fails_nothing(url: str) -> None:
    assert run(f"{url}/BreaksAtLists", "--check", "input.object") == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("http://127.0.0.1:9",), "nobody answers at http://127.0.0.1:9"),
        (("http://127.0.0.1:9", "--check", "inptu"), "did you mean 'input'?"),
        (("http://127.0.0.1:9", "--steps", "0"), "steps: expected a number above 0, got 0"),
        ((), "needs a URL, a folder or the name of an environment"),
        ((".", "--check", "http"), "expected checks of a folder"),
    ],
)
def test_what_cannot_be_run_is_2(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert said in capsys.readouterr().err


def test_a_mistake_of_the_checker_is_no_complaint_about_the_server(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def mistaken(server: object) -> None:
        raise ZeroDivisionError("ours")

    mine = replace(CHECKS["http.health"], run=mistaken)
    monkeypatch.setitem(CHECKS, "http.health", mine)
    assert run(f"{url}/Clean", "--check", "http.health", "--check", "http.mcp") == 2
    said = capsys.readouterr().out
    assert "BROKEN   http.health" in said and "a mistake in openenv_gym: ZeroDivisionError" in said
    assert "passed   http.mcp" in said


def test_json_says_why_nothing_was_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("http://127.0.0.1:9", "--json") == 2
    said = json.loads(capsys.readouterr().out)
    assert said["exit_code"] == 2 and "nobody answers" in said["error"]


def test_the_list_has_all_checks(capsys: pytest.CaptureFixture[str]) -> None:
    main(["validate", "--list"])
    said = capsys.readouterr().out
    assert all(f"\n{name}" in f"\n{said}" for name in CHECKS)


def test_the_page_has_all_checks() -> None:
    page = (DOCS / "validate.md").read_text(encoding="utf-8")
    assert [name for name in CHECKS if f"| `{name}` |" not in page] == []


def test_an_environment_of_ours_has_no_complaint() -> None:
    quick = ("--isolation=thread",)  # no process for each of some fifty sessions
    report = validate("openspiel:catch", options=QUICK, serve_arguments=quick)
    assert {one.check.name: one.note for one in report.results if one.status != "passed"} == {}


def test_a_folder_of_ours_has_what_push_wants_but_for_the_package(tmp_path: Path) -> None:
    (tmp_path / "openenv.yaml").write_text("name: walk\n")
    report = validate(str(tmp_path))
    lacks = {one.check.name: [c.expected for c in one.complaints] for one in report.results}
    assert "the file client.py" in lacks["folder.push"]
    assert report.exit_code == 1


def test_an_action_that_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="actions: expected JSON"):
        ValidationOptions(actions=[{"move": {1, 2}}])
