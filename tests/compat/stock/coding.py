"""Code in, what it printed out: the shape of OpenEnv's coding environment, for arithmetic only."""

import ast
import operator
from typing import Any
from uuid import uuid4

from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State

_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}


class CodeAction(Action):
    code: str


class CodeObservation(Observation):
    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0


class CodeState(State):
    last_exit_code: int = 0


class CodingEnvironment(Environment):
    """Evaluates arithmetic and strings, never code."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self) -> None:
        super().__init__()
        self._state = CodeState(episode_id=str(uuid4()))

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any
    ) -> CodeObservation:
        self._state = CodeState(episode_id=episode_id or str(uuid4()))
        return CodeObservation()

    def step(
        self, action: CodeAction, timeout_s: float | None = None, **kwargs: Any
    ) -> CodeObservation:
        self._state.step_count += 1
        try:
            out, err, code = f"{evaluate(ast.parse(action.code, mode='eval').body)}\n", "", 0
        except (SyntaxError, ValueError, TypeError) as exc:
            out, err, code = "", f"{type(exc).__name__}: {exc}", 1
        self._state.last_exit_code = code
        return CodeObservation(stdout=out, stderr=err, exit_code=code, reward=0.1 - code)

    @property
    def state(self) -> CodeState:
        return self._state


def evaluate(node: ast.AST) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](evaluate(node.left), evaluate(node.right))
    raise ValueError(f"only arithmetic is run here, got {type(node).__name__}")


SERVED = (CodingEnvironment, CodeAction, CodeObservation)
