"""What the gate costs a handshake: CPU time of a server with the gate and of one without, in turns.

Both serve CartPole-v1 inline. One is as ``openenv-gym serve --token`` makes it, and clients show it
the token; from the other the gate was taken out. The time is that of the server's thread, which the
kernel counts in nanoseconds (``/proc/PID/schedstat``), for connecting, the handshake and closing. A
session of ``/mcp`` has no environment at its handshake, so that the gate's part is the largest
there; with ``/ws`` the environment is built, too.
"""

import argparse
import base64
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import report
from benchmarks.children import ROOT, BenchmarkError
from benchmarks.workload import ENV_ID

TOKEN = "a-token-of-a-usual-length-0123456789abcdef"
PATHS = ("/mcp", "/ws")
END_S = 30.0

OPTIONS = {
    "rounds": (15, "rounds, each of which measures every case once"),
    "handshakes": (60, "handshakes of a case in a round"),
}


def serve(has_gate: bool) -> None:
    """Serve until a signal says to stop, in a process of its own."""
    from openenv_gym import create_app
    from openenv_gym.server import run
    from openenv_gym.server.gate import Gate
    from openenv_gym.server.settings import Listener

    app = create_app(ENV_ID, isolation="inline", token=TOKEN if has_gate else None)
    if not has_gate:
        app.user_middleware = [one for one in app.user_middleware if one.cls is not Gate]
    run.run(app, Listener(port=0), "serving")


@contextmanager
def served(has_gate: bool) -> Iterator[tuple[int, int]]:
    """Run a server; yield its process id and its port."""
    command = [sys.executable, "-m", "benchmarks.handshakes", *(["gate"] if has_gate else [])]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        said = server.stdout.readline()
        if not said:
            raise BenchmarkError("a server did not start; what it said is above")
        yield server.pid, int(said.rpartition(":")[2])
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(END_S)
        server.stdout.close()


def cpu_ns(pid: int) -> int:
    """Return how long the main thread of a process has been on a core, in nanoseconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0])


def shake_hands(port: int, path: str) -> None:
    """Open a WebSocket and close it again."""
    key = base64.b64encode(os.urandom(16)).decode()
    head = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\n"
        f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        f"Authorization: Bearer {TOKEN}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), END_S) as sock:
        sock.sendall(head.encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += sock.recv(4096)
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise BenchmarkError(f"expected 101 at {path}, got {answer[:80]!r}")
        sock.sendall(b"\x88\x82\0\0\0\0\x03\xe8")  # close, with the code 1000
        while sock.recv(4096):
            pass


def measured(rounds: int, handshakes: int) -> dict[str, tuple[list[float], list[float]]]:
    """Return by path the µs of a handshake, with the gate and without, in each round."""
    found: dict[str, tuple[list[float], list[float]]] = {path: ([], []) for path in PATHS}
    with ExitStack() as stack:
        servers = [stack.enter_context(served(has_gate)) for has_gate in (True, False)]
        for number in range(rounds + 1):
            for path in PATHS:
                for times, (pid, port) in zip(found[path], servers, strict=True):
                    before = cpu_ns(pid)
                    for _ in range(handshakes):
                        shake_hands(port, path)
                    if number:  # the first round warms up
                        times.append((cpu_ns(pid) - before) / handshakes / 1000)
    return found


def run(options: argparse.Namespace) -> None:
    run, rows, figures = report.Run("handshakes", options), [], []
    for path, (gated, bare) in measured(options.rounds, options.handshakes).items():
        ratio = min(gated) / min(bare)
        figures.append({"path": path, "gate_us": gated, "bare_us": bare, "ratio": round(ratio, 4)})
        rows.append([path, f"{min(gated):.0f}", f"{min(bare):.0f}", f"{100 * (ratio - 1):+.1f} %"])
    head = ["handshake", "µs with the gate", "µs without", "the gate's part"]
    about = (
        f"{options.rounds} rounds of {options.handshakes} handshakes. Shown is the least of the "
        "rounds, because whatever else the machine does can only add to the time."
    )
    run.publish({"handshakes": figures}, [report.Table(head, rows)], about, [])


if __name__ == "__main__":
    serve("gate" in sys.argv)
