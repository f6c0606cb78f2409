"""What the schemas of a server say, and whether spaces can be made of them."""

from __future__ import annotations

from typing import Any

from openenv_gym.conformance.validation.checks import (
    BrokenError,
    Complaint,
    Findings,
    NotCheckedError,
    check,
    quoted,
)
from openenv_gym.conformance.validation.served import Data, Served

_INSTALL = "needs the package jsonschema: pip install 'openenv_gym[validate]'"


def validator(schema: Any) -> Any:
    """Return what validates values against a schema.

    Raises:
        NotCheckedError: the package is not installed, or the schema refers to other places.
        BrokenError: this is no schema.
    """
    try:
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import SchemaError
        from referencing import Registry
    except ImportError as exc:
        raise NotCheckedError(_INSTALL) from exc
    try:
        Draft202012Validator.check_schema(schema)
    except (SchemaError, RecursionError) as exc:
        said = getattr(exc, "message", str(exc))
        path = getattr(exc, "json_path", "$")
        raise BrokenError(
            Complaint(
                expected="a schema of JSON Schema 2020-12",
                got=f"{path}: {quoted(said)}",
                evidence=(f"< {quoted(schema)}",),
            )
        ) from exc
    return Draft202012Validator(schema, registry=Registry())  # which looks nowhere else


def misfits(schema: Any, value: Any) -> list[str]:
    """Return how a value misses a schema, one sentence each, at most five."""
    found = []
    for error in validator(schema).iter_errors(value):
        found.append(f"{error.json_path}: {quoted(error.message)}")
        if len(found) == 5:
            break
    return found


@check(
    "schema.valid",
    "The schemas of action, observation and state are valid JSON schemas.",
    rests_on="openenv 0.10, openenv/validation/runtime/schema_worker.py; "
    "https://json-schema.org/draft/2020-12",
    needs=("http.schema",),
)
def valid(server: Served) -> Findings:
    """Check each schema against the schema of schemas."""
    for side in ("action", "observation", "state"):
        try:
            validator(server.schemas.get(side))
        except BrokenError as exc:
            found = exc.complaint
            yield Complaint(
                expected=f"{found.expected} for the {side}", got=found.got, evidence=found.evidence
            )
    return None


@check(
    "schema.spaces",
    "The schemas give an action space and an observation space, and leave nothing open.",
    rests_on="docs/spaces.md; Gymnasium's API: Env.action_space, Env.observation_space",
    needs=("http.schema",),
)
def spaces(server: Served) -> Findings:
    """Infer the spaces, with one reset where the schemas leave something open."""
    evidence = tuple(f"< {side}: {quoted(server.schemas[side])}" for side in _SIDES)
    try:
        inference = server.inference
    except NotCheckedError as exc:
        yield Complaint(
            expected="schemas from which spaces can be made",
            got=str(exc),
            evidence=evidence,
            is_warning=True,
        )
        return None
    for number, warning in enumerate(inference.warnings):
        yield Complaint(
            expected="schemas that say all of a space",
            got=warning,
            evidence=() if number else evidence,
            is_warning=True,
        )
    return f"action {inference.action_space}, observation {inference.observation_space}"


_SIDES = ("action", "observation")


def whole_observation(data: Data) -> Data:
    """Return an observation as its model has it: the wire moves some fields out of it."""
    outer = {name: data[name] for name in ("reward", "done", "metadata") if name in data}
    observation = data.get("observation")
    return {**(observation if isinstance(observation, dict) else {}), **outer}
