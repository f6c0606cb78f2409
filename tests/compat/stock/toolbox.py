"""Tools over MCP, of which the schemas say nothing: they are listed when the server is asked."""

from typing import Any
from uuid import uuid4

from fastmcp import FastMCP
from openenv.core.env_server.mcp_environment import MCPEnvironment
from openenv.core.env_server.mcp_types import CallToolAction, CallToolObservation
from openenv.core.env_server.types import Action, Observation, State


class ToolboxAction(CallToolAction):
    """An action class of its own, which no step that lists tools fits."""


class ToolboxEnvironment(MCPEnvironment):
    """Searches, adds, and ends when an answer is submitted."""

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self) -> None:
        mcp = FastMCP("toolbox")

        @mcp.tool
        def search(query: str, limit: int | None = 3) -> str:
            """Search for something."""
            return f"{limit} times {query}"

        @mcp.tool
        def move(direction: bool, lanes: list[int]) -> dict[str, Any]:
            """Go."""
            return {"direction": direction, "lanes": lanes}

        @mcp.tool
        def submit() -> str:
            """End."""
            return "done"

        @mcp.tool
        def edit(edits: list[dict[str, Any]]) -> str:
            """What no space can hold."""
            return f"{len(edits)} edits"

        super().__init__(mcp)
        self._state = State(episode_id=str(uuid4()), step_count=0)

    def reset(
        self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any
    ) -> Observation:
        self._state = State(episode_id=episode_id or str(uuid4()), step_count=0)
        return Observation(done=False, reward=0.0, metadata={"question": "what?"})

    def _step_impl(self, action: Action, **kwargs: Any) -> Observation:
        raise ValueError(f"no such action: {action}")

    def step(self, action: Action, timeout_s: float | None = None, **kwargs: Any) -> Observation:
        return self._ended(action, super().step(action, timeout_s=timeout_s, **kwargs))

    async def step_async(
        self, action: Action, timeout_s: float | None = None, **kwargs: Any
    ) -> Observation:
        return self._ended(action, await super().step_async(action, timeout_s=timeout_s, **kwargs))

    def _ended(self, action: Action, observation: Observation) -> Observation:
        self._state.step_count += 1
        if getattr(action, "tool_name", "") == "submit":
            observation.done, observation.reward = True, 1.0
        return observation

    @property
    def state(self) -> State:
        return self._state


SERVED = (ToolboxEnvironment, CallToolAction, CallToolObservation)
