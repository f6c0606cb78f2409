"""Environments whose pages tests look at, under one server: each at a prefix of its own."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Literal

import gymnasium as gym
import gymnasium.spaces as gs
import numpy as np
from fastapi import FastAPI
from pydantic import Field
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from examples.own_environment.environment import EchoEnvironment
from examples.own_environment.models import EchoAction, EchoObservation
from openenv_gym import create_app
from openenv_gym.environment import Environment
from openenv_gym.wire.models import Action, Observation, State

HOSTILE = (
    "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
    "\x1b[2J\x1b]0;taken\x07 \ud800 \u202eabc &lt;b&gt;"
)
"""Text that means something to pages, to terminals and to the direction of writing."""


TOKEN = "a.secret-of_32~letters+and/more="


class Guarded:
    """An application behind a token: of requests a header, of WebSockets a subprotocol."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http" and not self._may_pass(scope):
            challenge = {
                "WWW-Authenticate": 'Bearer realm="openenv-gym", Basic realm="openenv-gym"'
            }
            await PlainTextResponse("no", 401, challenge)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        is_page = scope["path"].endswith(("/web", "/readyz"))
        said = dict(scope["headers"]).get(b"authorization")
        return is_page or said == f"Bearer {TOKEN}".encode()

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = base64.urlsafe_b64encode(TOKEN.encode()).decode().rstrip("=")
        wanted = f"openenv-gym.token.{told}"
        if scope["subprotocols"] != ["openenv-gym.json", wanted]:
            await send({"type": "websocket.close"})
            return

        async def send_with_name(message: Message) -> None:
            if message["type"] == "websocket.accept":  # Chromium wants one of those that it named
                message = {**message, "subprotocol": "openenv-gym.json"}
            await send(message)

        await self._app(scope, receive, send_with_name)


class HostileAction(Action):
    choice: Literal["<b onclick=alert(1)>left</b>", "\x1b[31mred"] = Field(
        description="<i>one of two</i>"
    )


class HostileObservation(Observation):
    said: str = ""


class HostileEnvironment(Environment[HostileAction, HostileObservation, State]):
    """<script>document.title = 'taken'</script> says what is written above."""

    def reset(self, **asked: Any) -> HostileObservation:
        return HostileObservation(
            said=HOSTILE.replace("\ud800", ""), metadata={"<u>key</u>": "<b>"}
        )

    def step(self, action: HostileAction, **asked: Any) -> HostileObservation:
        raise RuntimeError(HOSTILE)

    @property
    def state(self) -> State:
        return State()


class HostileEnv(gym.Env[Any, Any]):
    """An environment of Gymnasium whose texts are hostile: observation, info and frame."""

    metadata = {"render_modes": ["ansi"]}
    action_space = gs.Discrete(2)
    observation_space = gs.Text(1000)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None):
        return HOSTILE, {"<u>note</u>": "<b>" + HOSTILE.replace("\ud800", "")}

    def step(self, action: Any) -> tuple[str, float, bool, bool, dict[str, Any]]:
        return HOSTILE, 1.0, False, False, {}

    def render(self) -> str:
        return "\x1b[41m<b>red</b>\x1b[0m " + HOSTILE.replace("\ud800", "")


class Fields(gym.Env[Any, Any]):
    """An environment with a field of each kind in its action, which its observation repeats."""

    action_space = gs.Dict(
        {
            "angle": gs.Box(-1.0, 1.0, (2,)),
            "bits": gs.MultiBinary(2),
            "count": gs.Box(0, 9, (), np.int64),
            "free": gs.Box(-np.inf, np.inf, (1,)),
            "many": gs.MultiDiscrete([3, 4]),
            "mode": gs.Discrete(3, start=-1),
            "pair": gs.Tuple([gs.Discrete(2), gs.Text(9)]),
            "rest": gs.Sequence(gs.Discrete(5)),
            "variant": gs.OneOf([gs.Discrete(2), gs.Box(0.0, 1.0, (1,))]),
        }
    )
    observation_space = gs.Dict(
        {"last": action_space, "picture": gs.Box(0, 255, (16, 16), np.uint8)}
    )

    def _observe(self, action: Any) -> dict[str, Any]:
        picture = np.arange(256, dtype=np.uint8).reshape(16, 16)
        return {"last": action, "picture": picture}

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None):
        super().reset(seed=seed)
        self.action_space.seed(0)
        return self._observe(self.action_space.sample()), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self._observe(action), 0.5, False, False, {}


def pages() -> FastAPI:
    """An application with an environment at each of its prefixes, all in this process."""
    named = {
        "catch": "openspiel:catch",
        "tic_tac_toe": "openspiel:tic_tac_toe",
        "cartpole": "CartPole-v1",
        "pendulum": "Pendulum-v1",
        "breakout": "ALE/Breakout-v5",
    }
    apps = {
        **{
            prefix: create_app(name, isolation="inline", web=True) for prefix, name in named.items()
        },
        "echo": create_app(EchoEnvironment, EchoAction, EchoObservation, env_name="echo", web=True),
        "hostile": create_app(HostileEnvironment, env_name=f"<b>{HOSTILE[:40]}", web=True),
        "hostile-text": create_app(lambda: HostileEnv(render_mode="ansi"), web=True),
        "fields": create_app(Fields, web=True),
    }
    outer = FastAPI()
    for prefix, app in apps.items():
        outer.mount(f"/{prefix}", app)
    outer.mount("/guarded", Guarded(create_app("CartPole-v1", isolation="inline", web=True)))
    return outer
