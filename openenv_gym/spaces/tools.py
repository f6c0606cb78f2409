"""The tools of a server as actions: which there are, and which arguments each takes.

The schema of OpenEnv's ``CallToolAction`` says that a tool has a name and some arguments, and
nothing more. The server lists its tools when it is asked, with a JSON schema of the arguments of
each. An action is then one of the tools with the arguments that it requires; optional arguments
keep their defaults.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import gymnasium.spaces as gs

from openenv_gym.errors import SpaceError
from openenv_gym.spaces.budget import SpaceBudget
from openenv_gym.spaces.fields import paths_of
from openenv_gym.spaces.from_schema import read_schema
from openenv_gym.spaces.infer_sides import Asked, Side
from openenv_gym.spaces.model_unions import branches_of
from openenv_gym.spaces.open_ends import open_ends
from openenv_gym.spaces.probing import Sight
from openenv_gym.spaces.schema_space import SchemaSpace, choice, object_of, one_of
from openenv_gym.spaces.to_schema import Schema
from openenv_gym.spaces.unicode_text import UnicodeText

RESULT = "result"
"""The field of the observation that holds what a tool returned."""

_CALL = frozenset({"tool_name", "arguments"})
_ANSWER = frozenset({"tool_name", RESULT, "error"})
_NAMING = (
    "name one with fixed_action={'tool_name': ...}, its argument with action_key='arguments.NAME', "
    "and the space of that with action_space="
)


class ListedTool(NamedTuple):
    """A tool as its server describes it.

    Attributes:
        name: Its name.
        arguments: The JSON schema of its arguments, an object.
    """

    name: str
    arguments: Schema


class TypedTool(NamedTuple):
    """A tool whose required arguments have a space.

    Attributes:
        tool: The tool.
        fields: The forms of its required arguments, by name.
        fixed: Arguments that are the same in every call.
    """

    tool: ListedTool
    fields: Mapping[str, SchemaSpace]
    fixed: Mapping[str, Any]

    def call(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of the action that calls the tool."""
        return {"tool_name": self.tool.name, "arguments": {**self.fixed, **arguments}}

    @property
    def shown(self) -> str:
        """The tool with its arguments, for messages: ``search(query; limit)``."""
        return signature_of(self.tool)


def signature_of(tool: ListedTool) -> str:
    """Return a tool as text: its required arguments, and after a semicolon the others.

    >>> schema = {"properties": {"query": {}, "limit": {}}, "required": ["query"]}
    >>> signature_of(ListedTool("search", schema))
    'search(query; limit)'
    """
    required = _required(tool)
    others = [name for name in tool.arguments.get("properties", {}) if name not in required]
    more = f"; {', '.join(others)}" if others else ""
    return f"{tool.name}({', '.join(required)}{more})"


def tools_in(data: Any) -> list[ListedTool] | None:
    """Return the tools in what a server answered, None where there are none.

    Args:
        data: An object with ``tools``, as an observation or a result of MCP has them.
    """
    listed = data.get("tools") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        return None
    tools = [_tool(one) for one in listed if isinstance(one, dict) and "name" in one]
    return tools or None


def _tool(one: Mapping[str, Any]) -> ListedTool:
    schema = one.get("input_schema") or one.get("inputSchema")
    return ListedTool(str(one["name"]), schema if isinstance(schema, dict) else {})


def call_schema(schema: Any, budget: SpaceBudget | None = None) -> Schema | None:
    """Return the model of a tool call: an action, or a branch of it; None for other actions.

    Args:
        schema: The JSON schema of the action.
        budget: What is left to read schemas with; a new one unless given.
    """
    budget = budget or SpaceBudget()
    for model in [schema, *(branches_of(schema, "action", budget) or ())]:
        properties = model.get("properties") if isinstance(model, dict) else None
        names = properties.keys() if isinstance(properties, dict) else frozenset()
        if names >= _CALL and names <= _CALL | {"type", "metadata"}:
            found: Schema = model
            return found
    return None


def tool_side(schema: Schema, asked: Asked, sight: Sight) -> Side | None:
    """Return the action side of a server with tools, None where the caller says what to call.

    Args:
        schema: The JSON schema of the action.
        asked: What the caller says of the action.
        sight: Asks the server for its tools.

    Raises:
        SpaceError: the tools are not known, or have arguments that no space can hold.
    """
    model = call_schema(schema, sight.budget)
    if model is None or asked.space is not None or asked.key is not None:
        return None
    tools = sight.tools(f"$.action.tool_name: expected one of the tools; {_NAMING}")
    constants = {
        name: child["const"]
        for name, child in model["properties"].items()
        if isinstance(child, dict) and "const" in child
    }
    fixed = {**constants, **{k: v for k, v in asked.fixed.items() if k not in _CALL}}
    name, arguments = asked.fixed.get("tool_name"), asked.fixed.get("arguments") or {}
    if unknown := asked.fixed.keys() - model["properties"].keys():
        raise SpaceError(
            f"expected fixed_action= with fields of the action ({', '.join(model['properties'])}), "
            f"got {', '.join(sorted(unknown))}"
        )
    if name is not None:
        tools = [_named(name, tools)]
    elif arguments:
        raise SpaceError(
            "fixed_action: expected the 'tool_name' that takes these arguments, got arguments "
            f"alone; the tools are {_all(tools)}"
        )
    typed, warnings = _typed(tools, arguments, sight.budget)
    if not typed:
        raise SpaceError(f"$.action: {'; '.join(warnings)}")
    side = _one(typed[0], fixed, sight.budget) if len(tools) == 1 else _several(typed, fixed)
    return replace(side, warnings=(*warnings, *_open_ends(typed)))


def with_arguments(schema: Schema, asked: Asked, sight: Sight) -> Schema:
    """Return the schema of the action, with that of the arguments of the tool that is called.

    Args:
        schema: The JSON schema of the action.
        asked: What the caller says of the action: only where it names a tool and arguments of it,
            and not their space, they are looked up.
        sight: Asks the server for its tools.

    Raises:
        SpaceError: the tool is not known, or requires an argument that nobody gives.
    """
    model, name, paths = (
        call_schema(schema, sight.budget),
        asked.fixed.get("tool_name"),
        paths_of(asked.key),
    )
    is_open = asked.space is None and bool(paths) and name is not None and not asked.profile
    if model is None or not is_open or not all(path.startswith("arguments.") for path in paths):
        return schema
    tool = _named(name, sight.tools(f"$.action: expected the tool {name}; {_NAMING}"))
    said = {path.split(".")[1] for path in paths} | set(asked.fixed.get("arguments") or {})
    if left := [argument for argument in _required(tool) if argument not in said]:
        raise SpaceError(
            f"expected every required argument of {signature_of(tool)}, got none for "
            f"{', '.join(left)}; say what is always the same with fixed_action={{'tool_name': "
            f"{name!r}, 'arguments': ...}}, or name the arguments in action_key="
        )
    definitions = {**model.get("$defs", {}), **tool.arguments.get("$defs", {})}
    chosen = {name: _said(child) for name, child in tool.arguments.get("properties", {}).items()}
    properties = {**model["properties"], "arguments": {**tool.arguments, "properties": chosen}}
    return {**model, "properties": properties, "$defs": definitions}


def _said(child: Any) -> Any:
    """Return the schema of an argument without null, which stands for leaving it out."""
    branches = child.get("anyOf") if isinstance(child, dict) else None
    if not isinstance(branches, list) or {"type": "null"} not in branches:
        return child
    rest = [branch for branch in branches if branch != {"type": "null"}]
    others = {key: item for key, item in child.items() if key != "anyOf"}
    return {**others, **rest[0]} if len(rest) == 1 else {**others, "anyOf": rest}


def result_side(schema: Schema, asked: Asked) -> Side | None:
    """Return the observation side of a server with tools: the text of what the tool returned.

    Args:
        schema: The JSON schema of the observation.
        asked: What the caller says of the observation.
    """
    is_open = asked.key is None and asked.space is None
    if not is_open or not schema.get("properties", {}).keys() >= _ANSWER:
        return None
    form = SchemaSpace(space=UnicodeText(), read=_text_of, is_digest=True)
    reason = f"$.observation.{RESULT}: what the tool returned, as text; info has it whole"
    return Side(key=RESULT, form=form, reasons=(reason,))


def _text_of(result: Any, path: str) -> str:
    """Return the result of a tool as text: its data, else the texts of its content."""
    data = result
    if isinstance(result, dict) and "content" in result:
        data = result.get("data")
        if data is None:
            parts = result["content"] if isinstance(result["content"], list) else []
            texts = [part.get("text") for part in parts if isinstance(part, dict)]
            return "\n".join(text for text in texts if isinstance(text, str))
    return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)


def _named(name: Any, tools: Sequence[ListedTool]) -> ListedTool:
    for tool in tools:
        if tool.name == name:
            return tool
    raise SpaceError(
        f"fixed_action: expected a 'tool_name' among the tools of the server, {_all(tools)}, "
        f"got {name!r}"
    )


def _all(tools: Sequence[ListedTool]) -> str:
    return ", ".join(map(signature_of, tools))


def _required(tool: ListedTool) -> list[str]:
    required = tool.arguments.get("required")
    return list(map(str, required)) if isinstance(required, list) else []


def _typed(
    tools: Sequence[ListedTool], fixed: Mapping[str, Any], budget: SpaceBudget
) -> tuple[list[TypedTool], tuple[str, ...]]:
    """Return the tools whose required arguments have a space, and what is said of the others."""
    typed: list[TypedTool] = []
    refused: list[str] = []
    for tool in tools:
        try:
            typed.append(TypedTool(tool, _fields(tool, fixed, budget), fixed))
        except SpaceError as exc:
            if budget.is_exceeded:
                raise
            why, shown = str(exc).partition("; pass the space")[0], signature_of(tool)
            refused.append(f"the tool {shown} is left out: {why}; to call it, {_NAMING}")
    return typed, tuple(refused)


def _fields(
    tool: ListedTool, fixed: Mapping[str, Any], budget: SpaceBudget
) -> dict[str, SchemaSpace]:
    properties = tool.arguments.get("properties")
    if not isinstance(properties, dict):
        raise SpaceError("its server does not say which arguments it takes")
    return {
        name: read_schema(
            properties.get(name, {}),
            f"$.action.arguments.{name}",
            tool.arguments,
            is_open=True,
            budget=budget,
        )
        for name in _required(tool)
        if name not in fixed
    }


def _one(typed: TypedTool, fixed: Mapping[str, Any], budget: SpaceBudget) -> Side:
    """Return the side of one tool: its arguments, without a dict where there is only one."""
    always = {**fixed, **typed.call({})}
    if len(typed.fields) == 1:
        ((name, form),) = typed.fields.items()
        reason = f"$.action.arguments.{name}: what the tool {typed.shown} requires; {form.space}"
        return Side(key=f"arguments.{name}", form=form, reasons=(reason,), fixed=always)
    if not typed.fields:
        return _without_requirements(typed, always, budget)
    form = _arguments(typed)
    reason = f"$.action.arguments: what the tool {typed.shown} requires; {form.space}"
    return Side(key="arguments", form=form, reasons=(reason,), fixed=always)


def _without_requirements(typed: TypedTool, always: Mapping[str, Any], budget: SpaceBudget) -> Side:
    """Return the side of a tool that requires nothing: its only argument, or nothing to choose."""
    name, schema = typed.tool.name, typed.tool.arguments
    optional = [each for each in schema["properties"] if each not in typed.fixed]
    if len(optional) > 1:
        raise SpaceError(
            f"$.action.arguments: the tool {typed.shown} requires none of its arguments; name "
            f"those that the agent chooses, as action_key='arguments.{optional[0]}' beside "
            f"fixed_action={{'tool_name': {name!r}}}, or a list of them"
        )
    if optional:
        path = f"$.action.arguments.{optional[0]}"
        child = _said(schema["properties"][optional[0]])
        form = read_schema(child, path, schema, is_open=True, budget=budget)
        reason = f"{path}: the only argument of the tool {typed.shown}; {form.space}"
        return Side(key=f"arguments.{optional[0]}", form=form, reasons=(reason,), fixed=always)
    form = choice([dict(typed.fixed)])
    reason = f"$.action.arguments: the tool {typed.shown} takes none; {form.space}"
    return Side(key="arguments", form=form, reasons=(reason,), fixed=always)


def _arguments(typed: TypedTool) -> SchemaSpace:
    inner = object_of(typed.fields, {})

    def to_json(data: Any) -> Any:
        return {**typed.fixed, **inner.to_json(data)}

    return replace(inner, to_json=to_json)


def _several(typed: Sequence[TypedTool], fixed: Mapping[str, Any]) -> Side:
    """Return the side of one of several tools, each with arguments of its own."""
    if not hasattr(gs, "OneOf"):
        raise SpaceError(
            "$.action: one of several tools is a OneOf, which Gymnasium has since 1.0; name one "
            f"with fixed_action={{'tool_name': ...}}: {_all([one.tool for one in typed])}"
        )
    calls = [_call(one) for one in typed]
    form = one_of(calls, lambda data: None)
    shown = ", ".join(f"{number}: {one.shown}" for number, one in enumerate(typed))
    reason = f"$.action: one of the tools with what it requires, {shown}"
    return Side(key=None, form=form, reasons=(reason,), fixed=fixed)


def _call(typed: TypedTool) -> SchemaSpace:
    inner = object_of(typed.fields, {})
    return replace(inner, to_json=lambda data: typed.call(inner.to_json(data)))


def _open_ends(typed: Sequence[TypedTool]) -> tuple[str, ...]:
    return tuple(
        f"{end} for the tool {one.tool.name}, so that an agent may go beyond what it takes; "
        f"{_NAMING}"
        for one in typed
        for name, form in one.fields.items()
        for end in open_ends(form.space, f"$.action.arguments.{name}")
    )
