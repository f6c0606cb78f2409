"""What all checks have said, as text, JSON and JUnit's XML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from openenv_gym.conformance.validation.checks import CheckResult, Complaint, Status

EXIT_PASSED, EXIT_FAILED, EXIT_NOT_RUN = 0, 1, 2

_WORDS: dict[Status, str] = {
    "passed": "passed",
    "warned": "WARNING",
    "failed": "FAILED",
    "skipped": "skipped",
    "broken": "BROKEN",
}
_BROKEN = "the checker itself failed, which is a mistake in openenv_gym: "


@dataclass(frozen=True, kw_only=True)
class Report:
    """What all checks have said.

    Attributes:
        target: What was checked.
        results: What each check has said, in the order in which they ran.
    """

    target: str
    results: Sequence[CheckResult]

    @property
    def counts(self) -> Counter[Status]:
        """How many checks have each status."""
        return Counter(one.status for one in self.results)

    @property
    def exit_code(self) -> int:
        """0 where no check failed, 1 where one did, 2 where the checker could not do its work."""
        counts = self.counts
        if counts["broken"]:
            return EXIT_NOT_RUN
        return EXIT_FAILED if counts["failed"] else EXIT_PASSED

    @property
    def summary(self) -> str:
        """The counts as a line for people."""
        counts = self.counts
        said = ", ".join(f"{counts[key]} {word.lower()}" for key, word in _WORDS.items())
        return f"{self.target}: {len(self.results)} checks: {said}"


def lines_of(result: CheckResult) -> Iterator[str]:
    """Return the lines of one check for people."""
    word = _WORDS[result.status]
    note = f": {result.note}" if result.note and result.status != "broken" else ""
    yield f"{word:8} {result.check.name}{note}"
    if result.status == "broken":
        yield f"         {_BROKEN}{result.note}"
    for complaint in result.complaints:
        yield from (f"         {line}" for line in complaint_lines(complaint))
    if result.complaints:
        yield f"         rests on: {result.check.rests_on}"


def complaint_lines(complaint: Complaint) -> Iterator[str]:
    """Return the lines of one complaint for people."""
    word = "should be" if complaint.is_warning else "expected"
    yield f"{word}: {complaint.expected}"
    yield f"got: {complaint.got}"
    yield from (f"  {line}" for line in complaint.evidence)


def as_json(report: Report) -> dict[str, Any]:
    """Return a report as a JSON object."""
    return {
        "target": report.target,
        "passed": report.exit_code == EXIT_PASSED,
        "exit_code": report.exit_code,
        "counts": dict(report.counts),
        "checks": [
            {
                "name": one.check.name,
                "status": one.status,
                "says": one.check.says,
                "rests_on": one.check.rests_on,
                "note": one.note,
                "took_s": round(one.took_s, 3),
                "complaints": [
                    {
                        "level": "warning" if found.is_warning else "error",
                        "expected": found.expected,
                        "got": found.got,
                        "evidence": list(found.evidence),
                    }
                    for found in one.complaints
                ],
            }
            for one in report.results
        ],
    }


def as_junit(report: Report) -> str:
    """Return a report as JUnit's XML, which CI systems show."""
    counts = report.counts
    suite = ElementTree.Element(
        "testsuite",
        name=f"openenv-gym validate {report.target}",
        tests=str(len(report.results)),
        failures=str(counts["failed"]),
        errors=str(counts["broken"]),
        skipped=str(counts["skipped"]),
        time=f"{sum(one.took_s for one in report.results):.3f}",
    )
    tags: dict[Status, str] = {"failed": "failure", "broken": "error", "skipped": "skipped"}
    for one in report.results:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"openenv.{one.check.name.partition('.')[0]}",
            name=one.check.name,
            time=f"{one.took_s:.3f}",
        )
        text = _xml_text("\n".join(lines_of(one)))
        if one.status in tags:
            first = one.complaints[0].got if one.complaints else one.note
            child = ElementTree.SubElement(case, tags[one.status], message=_xml_text(first))
            child.text = text
        elif one.complaints:
            ElementTree.SubElement(case, "system-out").text = text
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _xml_text(text: str) -> str:
    """Return ``text`` without the characters that XML 1.0 cannot hold."""
    return "".join(
        c if c in "\t\n\r" or "\x20" <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff"
        else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )  # fmt: skip
