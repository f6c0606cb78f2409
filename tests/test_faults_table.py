"""The table of faults: what the page says, what errors are which, and what is told of one."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from openenv_gym import errors
from openenv_gym.errors import OpenEnvGymError, fault_of
from openenv_gym.faults import CLOSE_CODES, FAULTS, Fault, FaultKind, fault_of_close
from openenv_gym.wire.error_codes import error_for
from openenv_gym.wire.fault_info import fault_from_info, fault_from_wire, fault_to_wire

PAGE = Path(__file__).parents[1] / "docs" / "semantics.md"
APPLIED = {True: "True", False: "False", None: "None"}


def rows_of_the_page() -> list[tuple[str, str, str]]:
    text = PAGE.read_text().partition("## Faults")[2].partition("Further keys")[0]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return [(row[0], row[1], row[2]) for row in rows if len(row) == 3][1:]


def test_the_page_has_the_rows_of_the_table():
    written = [
        (f"`{kind.value}`", row.meaning, APPLIED[row.action_applied])
        for kind, row in FAULTS.items()
        if row.is_begun_anew
    ]
    assert [(kind, meaning, applied.partition(";")[0]) for kind, meaning, applied in
            rows_of_the_page()] == written  # fmt: skip


def test_every_kind_has_a_row_whose_sentences_are_there():
    assert set(FAULTS) == set(FaultKind)
    assert all(row.meaning and row.detected_by for row in FAULTS.values())


def kinds_of_errors(kind: type[OpenEnvGymError]) -> dict[str, FaultKind | None]:
    found = {kind.__name__: kind.fault_kind}
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            found |= kinds_of_errors(child)
    return found


def test_what_kind_of_fault_each_error_is():
    lost = FaultKind.CONNECTION_LOST
    assert {name: kind for name, kind in kinds_of_errors(OpenEnvGymError).items() if kind} == {
        "RemoteEnvError": FaultKind.ENV_RAISED,
        "EnvStartError": FaultKind.ENV_RAISED,
        "EnvCrashLoopError": FaultKind.CRASH_LOOP,
        "ServerError": lost,
        "CapacityError": lost,
        "ProtocolError": FaultKind.BAD_REPLY,
        "UnreachableError": lost,
        "ConnectionLostError": lost,
        "RequestTimeoutError": FaultKind.STEP_TIMEOUT,
    }


def test_only_a_crash_loop_is_not_begun_anew():
    assert [kind for kind, row in FAULTS.items() if not row.is_begun_anew] == [FaultKind.CRASH_LOOP]


def test_an_error_says_its_fault_or_its_class_does():
    fault = Fault(kind=FaultKind.OOM, signal=9)
    assert fault_of(errors.ConnectionLostError("gone", fault=fault)) is fault
    assert fault_of(errors.ConnectionLostError("gone")) == Fault(kind=FaultKind.CONNECTION_LOST)
    raised = fault_of(errors.RemoteEnvError("it raised"))
    assert raised == Fault(kind=FaultKind.ENV_RAISED, action_applied=True)
    assert fault_of(errors.NotOpenEnvError("a web page")) is None


def test_a_fault_survives_pickle_and_copy_of_its_error():
    error = errors.ConnectionLostError("gone", fault=Fault(kind=FaultKind.OOM, stderr_tail="x"))
    for again in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert (again.args, again.fault) == (("gone",), error.fault)


def test_what_an_environment_raised_elsewhere_is_a_fault_with_the_traceback():
    error = error_for("EXECUTION_ERROR", "it raised", remote_traceback="line 3")
    assert error.fault == Fault(
        kind=FaultKind.ENV_RAISED, action_applied=True, remote_traceback="line 3"
    )
    assert error.remote_traceback == "line 3"
    assert fault_to_wire(error.fault) is None
    too_much = error_for("EXECUTION_ERROR", "it raised", fault=Fault(kind=FaultKind.OOM))
    assert too_much.fault == Fault(kind=FaultKind.OOM)


@pytest.mark.parametrize("code", [7, 0, -11, None])
def test_a_process_that_ended_is_told_by_its_exit_code(code: int | None):
    fault = Fault.of_exit(code, stderr_tail="the end")
    is_signal = code is not None and code < 0
    assert (fault.kind, fault.stderr_tail) == (FaultKind.WORKER_DIED, "the end")
    assert (fault.signal, fault.exitcode) == ((11, None) if is_signal else (None, code))
    assert fault_from_wire(fault_to_wire(fault)) == fault


@pytest.mark.parametrize("kind", FaultKind)
def test_what_an_info_says_of_a_fault_is_read_again(kind: FaultKind):
    fault = Fault(kind=kind, exitcode=7, action_applied=False, remote_traceback="line 3")
    said = fault.as_info(incarnation=2)
    assert (type(said["fault"]), said["incarnation"]) == (str, 2)
    assert fault_from_info(said) == fault


def test_close_codes():
    assert fault_of_close(1000) is None
    assert {code: fault_of_close(code) for code in CLOSE_CODES} == {
        1012: Fault(kind=FaultKind.SERVER_DRAINING),
        4408: Fault(kind=FaultKind.SESSION_EXPIRED),
    }
