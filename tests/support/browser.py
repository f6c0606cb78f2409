"""A headless Chromium, which tests and pictures of the documentation look at pages with.

It is told what to do over the DevTools protocol, which is JSON over a WebSocket. What a person does
with the mouse and the keyboard comes as events of the browser, and not as calls of the page's own.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import pytest
from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
START_S, WAIT_S = 60.0, 20.0

OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # root has none
    "--remote-debugging-port=0",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
)

KEYS = {
    "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Enter": 13, " ": 32,
}  # fmt: skip

UNTIL = """(async () => {{
  const end = performance.now() + {timeout_ms};
  for (;;) {{
    const found = Boolean({condition});
    if (found || performance.now() > end) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }}
}})()"""


def chromium() -> str:
    """Return the path of a Chromium; the test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser to look at a page with: none of {', '.join(NAMES)} is installed")
    return found


class Browser:
    """A browser with one page, and a profile of its own that ends with it.

    Attributes:
        said: What the page and the browser logged: errors, and what a policy refused.
    """

    def __init__(self, *options: str) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        folder = self._profile.name
        self._process = subprocess.Popen(
            [chromium(), *OPTIONS, *options, f"--user-data-dir={folder}", "about:blank"],
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # the browser is many processes
            env={**os.environ, "HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_CACHE_HOME": folder},
        )
        self._connected = contextlib.ExitStack()
        self._number, self._session = 0, ""
        self.said: list[str] = []
        try:
            port, path = self._address(Path(folder, "DevToolsActivePort"))
            devtools = connect(f"ws://127.0.0.1:{port}{path}", max_size=None)
            self._socket = self._connected.enter_context(devtools)
            self._attach()
        except BaseException:
            self._end()
            raise

    def _attach(self) -> None:
        """Speak to the one page from now on."""
        pages = self.send("Target.getTargets")["targetInfos"]
        target = next(one["targetId"] for one in pages if one["type"] == "page")
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def _address(self, file: Path) -> list[str]:
        end_s = time.monotonic() + START_S
        while time.monotonic() < end_s:
            lines = file.read_text().split() if file.exists() else []
            if len(lines) == 2:
                return lines
            assert self._process.poll() is None, "the browser ended before it began"
            time.sleep(0.02)
        raise TimeoutError(f"the browser did not begin within {START_S:g} s")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol, and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            reply = json.loads(self._socket.recv(timeout=START_S))
            if reply.get("id") == self._number:
                assert "error" not in reply, f"{method}: {reply}"
                return dict(reply["result"])
            self._note(reply)

    def _note(self, event: dict[str, Any]) -> None:
        told = event.get("params", {})
        if event.get("method") == "Log.entryAdded":
            self.said.append(f"{told['entry']['level']}: {told['entry']['text']}")
        elif event.get("method") == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.said.append(f"error: {details.get('exception', {}).get('description', details)}")

    def open(self, url: str, width: int = 1280, height: int = 900, **how: bool) -> None:
        """Open ``url`` in a window of this size, with nothing said yet.

        Args:
            url: Where the page is.
            width: Of the window, in pixels.
            height: Likewise.
            **how: ``is_phone`` and ``is_dark``.
        """
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height,
            deviceScaleFactor=2 if how.get("is_phone") else 1, mobile=how.get("is_phone", False),
        )  # fmt: skip
        self.send("Emulation.setTouchEmulationEnabled", enabled=how.get("is_phone", False))
        scheme = "dark" if how.get("is_dark") else "light"
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", features=features)
        self.said.clear()
        self.send("Page.navigate", url=url)
        self.wait(f"document.readyState === 'complete' && location.href === {json.dumps(url)}")

    def js(self, expression: str) -> Any:
        """Return the value of an expression in the page, or of what it promises."""
        answer = self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, f"{expression}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def wait(self, condition: str, timeout_s: float = WAIT_S) -> None:
        """Wait until an expression is true in the page."""
        is_true = self.js(UNTIL.format(condition=condition, timeout_ms=1000 * timeout_s))
        assert is_true, f"not within {timeout_s:g} s: {condition}; the browser said {self.said}"

    def text(self, selector: str) -> str:
        """Return what a person reads in an element."""
        return str(self.js(f"document.querySelector({json.dumps(selector)}).innerText"))

    def click(self, selector: str) -> None:
        """Press the left button of the mouse on the middle of an element."""
        element = f"document.querySelector({json.dumps(selector)})"
        place = self.js(
            f"(() => {{ {element}.scrollIntoView({{block: 'center'}});"
            f" const box = {element}.getBoundingClientRect();"
            " return {x: box.x + box.width / 2, y: box.y + box.height / 2}; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def press(self, key: str) -> None:
        """Press and release a key."""
        code = KEYS.get(key, ord(key[0].upper()))
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        named = {"key": key, "windowsVirtualKeyCode": code}
        self.send(
            "Input.dispatchKeyEvent", type="keyDown", **named, **({"text": text} if text else {})
        )
        self.send("Input.dispatchKeyEvent", type="keyUp", **named)

    def type(self, selector: str, text: str) -> None:
        """Click on a field, and put a text in place of what it holds."""
        self.click(selector)
        self.js(f"document.querySelector({json.dumps(selector)}).select()")
        self.send("Input.insertText", text=text)

    def screenshot(self) -> bytes:
        """Return what the window shows, as a PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """End the browser and remove its profile."""
        self._session = ""
        try:
            self.send("Browser.close")
            self._process.wait(START_S)
        finally:
            self._end()

    def _end(self) -> None:
        self._connected.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._profile.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
