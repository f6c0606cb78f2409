"""What ``openenv.yaml`` has to say under ``validation:``, as OpenEnv 0.10 reads it."""

from __future__ import annotations

import math
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

MOST_ORACLE_TOLERANCE = 0.1
LEAST_FLOOR_MARGIN = 0.1
MOST_VARIANCE_TOLERANCE = 0.2
MOST_EPISODE_TIMEOUT_S = 3600.0
"""The bounds of OpenEnv's policies v1 and v2."""


def _portable(text: str) -> str:
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or {"\\", ":", "\0"} & set(text):
        raise ValueError("expected a path within the folder, with slashes and without '..'")
    return text


def _portable_file(text: str) -> str:
    if PurePosixPath(text) == PurePosixPath("."):
        raise ValueError("expected the path of a file")
    return _portable(text)


Folder: TypeAlias = Annotated[str, AfterValidator(_portable)]
File: TypeAlias = Annotated[str, AfterValidator(_portable_file)]


class _Part(BaseModel):
    """A part of the block, in which unknown names are mistakes."""

    model_config = ConfigDict(extra="forbid")


class _Reward(_Part):
    range: tuple[float, float] = (0.0, 1.0)
    oracle_tolerance: float = Field(0.0, ge=0, le=MOST_ORACLE_TOLERANCE)
    floor_margin: float = Field(ge=LEAST_FLOOR_MARGIN)
    variance_tolerance: float | None = Field(None, ge=0, le=MOST_VARIANCE_TOLERANCE)

    @model_validator(mode="after")
    def _grows(self) -> _Reward:
        if not self.range[0] < self.range[1]:
            raise ValueError("expected a range whose first number is the smaller one")
        return self


class _Resources(_Part):
    cpu: float = Field(gt=0)
    memory_mb: int = Field(gt=0)
    disk_mb: int = Field(gt=0)
    episode_timeout_s: float = Field(gt=0, le=MOST_EPISODE_TIMEOUT_S)
    gpus: int = Field(0, ge=0)
    gpu_types: list[str] = []

    @model_validator(mode="after")
    def _has_gpus(self) -> _Resources:
        if self.gpu_types and not self.gpus:
            raise ValueError("expected gpus above 0 where gpu_types are named")
        return self


class _Oracle(_Part):
    form: Literal["injected_state", "script"]
    location: str


class _Verifier(_Part):
    kind: Literal["reward_channel", "script"]
    entry: str | None = None

    @model_validator(mode="after")
    def _has_entry(self) -> _Verifier:
        if (self.kind == "script") != (self.entry is not None):
            raise ValueError("expected an entry where kind is script, and only there")
        return self


class _Capabilities(_Part):
    oracle: _Oracle | None = None
    verifier: _Verifier
    set_state: bool = False
    llm_judged: bool = False
    rubric_tree: bool = False
    task_api: bool = False
    canaries: str | None = None
    declared_tools: list[str] = []
    declared_task_count: dict[str, int] = {}

    @model_validator(mode="after")
    def _sets_state(self) -> _Capabilities:
        if self.oracle is not None and self.oracle.form == "injected_state" and not self.set_state:
            raise ValueError("expected set_state: true where oracle.form is injected_state")
        return self


class _Types(_Part):
    tags: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1)


class _Network(_Part):
    mode: Literal["public", "no-network", "allowlist"] = "public"
    allowed_hosts: list[str] = []

    @model_validator(mode="after")
    def _names_hosts(self) -> _Network:
        if (self.mode == "allowlist") != bool(self.allowed_hosts):
            raise ValueError("expected allowed_hosts where mode is allowlist, and only there")
        return self


class _Judge(_Part):
    model: str
    version: str
    params: dict[str, Any] = {}


class _Tasks(_Part):
    generator_seed: int | None = None
    dataset_version: str | None = None
    generator_model: str | None = None


class _Execution(_Part):
    kind: Literal["openenv_ws"] = "openenv_ws"
    probe_path: File = "validation/runtime.json"
    dockerfile: File = "Dockerfile"
    context: Folder = "."
    agent_boundary: Literal["api"] = "api"
    requires_credentials: bool = Field(False, strict=True)


class _Validation(BaseModel):
    """The block itself, in which OpenEnv leaves unknown names alone."""

    reward: _Reward
    resources: _Resources
    capabilities: _Capabilities
    types: _Types
    network: _Network = _Network()
    judge: _Judge | None = None
    task_distribution: _Tasks | None = None
    execution: _Execution | None = None

    @model_validator(mode="after")
    def _names_judge(self) -> _Validation:
        is_judged = self.capabilities.llm_judged
        if is_judged != (self.judge is not None):
            raise ValueError("expected a judge where capabilities.llm_judged, and only there")
        if is_judged and self.reward.variance_tolerance is None:
            raise ValueError("expected reward.variance_tolerance where capabilities.llm_judged")
        if self.execution is not None and not _is_finite(self.model_dump()):
            raise ValueError("expected finite numbers where there is an execution block")
        return self


class _Manifest(BaseModel):
    name: str
    version: str | None = None
    validation: _Validation


def _is_finite(data: Any) -> bool:
    if isinstance(data, dict):
        return all(map(_is_finite, data.values()))
    if isinstance(data, (list, tuple)):
        return all(map(_is_finite, data))
    return not isinstance(data, float) or math.isfinite(data)


def mistakes(data: Any) -> list[str]:
    """Return what is wrong with the content of ``openenv.yaml``, one sentence each."""
    try:
        _Manifest.model_validate(data)
    except ValidationError as exc:
        return [
            f"{'.'.join(map(str, one['loc'])) or 'openenv.yaml'}: {one['msg']}"
            for one in exc.errors(include_url=False, include_context=False, include_input=False)
        ]
    return []
