"""The words of the package: docstrings without fragments, and no names that are ours alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE_DIR = ROOT / "openenv_gym"

SECTION = re.compile(r"^(Args|Attributes|Returns|Yields):$")
ITEM = re.compile(r"^\*{0,2}[\w.]+( \([^)]*\))?: (.+)$")

# How a description begins that does not say what the thing is.
FRAGMENT = re.compile(
    r"(It|Why|How|How many|How much|Which|What|Likewise|Gymnasium's)[.,;]"
    r"|(As|See|Like|Of|For|With|That of|Those of) "
)

# Names of ours for which the field has a word. A part of a name counts between underscores or
# capitals: Interface is no Face.
OWN_WORDS = {
    "Face": "EnvInfo",
    "Hosted": "BuiltEnv",
    "EnvHost": "RequestHandler",
    "Turn": "ExclusiveUse",
    "alone": "exclusive",
    "Wakeful": "BusyPoll",
    "Odds": "AdaptiveSpin",
    "kept": "copy_value",
    "patience": "reply_timeout",
    "was_unread": "peer_never_read",
    "apologize": "reject",
    "attend": "join",
}
OWN_WORD = re.compile(rf"(?:^|_|(?<=[a-z])(?=[A-Z]))({'|'.join(OWN_WORDS)})(?=$|_|[A-Z])")


def descriptions(docstring: str) -> Iterator[str]:
    """The descriptions in the sections of a docstring, each on one line."""
    lines = [*docstring.splitlines(), ""]
    while lines:
        line = lines.pop(0)
        if not SECTION.match(line.strip()):
            continue
        margin = indent(line)
        block: list[str] = []
        while lines and lines[0].strip() and indent(lines[0]) > margin:
            block.append(lines.pop(0))
        yield from entries(block)


def entries(block: list[str]) -> Iterator[str]:
    found: list[str] = []
    for line in block:
        text = line.strip()
        if indent(line) > indent(block[0]) and found:
            found[-1] += f" {text}"
        elif match := ITEM.match(text):
            found.append(match[2])
        elif found:
            found[-1] += f" {text}"
        else:
            found.append(text)
    yield from found


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def is_fragment(description: str) -> bool:
    """Whether it does not say what the thing is.

    >>> [is_fragment(text) for text in ("It.", "Of the worker.", "As given.", "See there.")]
    [True, True, True, True]
    >>> is_fragment("The process id of the worker."), is_fragment("Whether it is closed.")
    (False, False)
    """
    return FRAGMENT.match(description) is not None


def fragments(nodes: Sequence[ast.AST]) -> list[str]:
    found = []
    for node in nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node) or ""
            found += [text for text in descriptions(docstring) if is_fragment(text)]
    return found


def names(nodes: Sequence[ast.AST]) -> set[str]:
    """Every name that a file defines, imports or uses."""
    found: set[str] = set()
    for node in nodes:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                found.add(name)
            case ast.AsyncFunctionDef(name=name) | ast.alias(name=name):
                found.add(name)
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                found.add(name)
    return found


def own_words(nodes: Sequence[ast.AST]) -> list[str]:
    matches = [(name, OWN_WORD.search(name)) for name in sorted(names(nodes))]
    return [f"{name}: say {OWN_WORDS[match[1]]}" for name, match in matches if match]


@cache
def package() -> dict[str, list[ast.AST]]:
    """The nodes of every file of the package."""
    return {
        str(path.relative_to(PACKAGE_DIR)): list(ast.walk(ast.parse(path.read_text("utf-8"))))
        for path in sorted(PACKAGE_DIR.rglob("*.py"))
    }


@pytest.mark.parametrize("check", [fragments, own_words])
def test_the_package_is_written_in_plain_words(check: Callable[[Sequence[ast.AST]], list[str]]):
    found = {file: texts for file, nodes in package().items() if (texts := check(nodes))}
    assert found == {}


def test_one_name_is_one_thing():
    """No two files define a class or an alias of the same public name."""
    places: dict[str, list[str]] = {}
    for file, nodes in package().items():
        for node in nodes:
            match node:
                case ast.ClassDef(name=name):
                    places.setdefault(name, []).append(file)
                case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id="TypeAlias")):
                    places.setdefault(name, []).append(file)
    twice = {name for name, files in places.items() if len(files) > 1 and name[0] != "_"}
    assert twice == set()


def test_the_glossary_has_each_word_once_in_order():
    page = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", page.partition("|---|---|")[2], re.MULTILINE)
    words = [row.strip("`").lower() for row in rows]
    assert len(rows) == page.count("\n| ") - 1  # all but the head
    assert words == sorted(set(words))
    defined = {part for word in words for part in (word, *word.split(", "))}
    assert {
        "engine",
        "envinfo",
        "episode",
        "fault",
        "fork hooks",
        "gate",
        "incarnation",
        "lifeline",
        "relay",
        "seam",
        "shard",
        "spare",
    } <= defined
