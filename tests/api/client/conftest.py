"""A service as a process of its own, which can be killed and started anew at the same address; and a bad line to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import ruleforge
from tests.ports import free_port

# A job that ends within a second, and one that does not end.
SMALL: Mapping[str, Any] = {
    **{"task": "reward", "seed": 5, "budget": {"generations": 5}, "parameters": {"n_trials": 20}},
    **{"instances": {"training": 2, "validation": 3, "test": 3}, "search": {"population": 8, "offspring": 16}},
}
ENDLESS: Mapping[str, Any] = {**SMALL, "budget": {"generations": 1_000_000}}
SCRIPT = Path(sys.executable).parent / "ruleforge"


class Server:
    """`ruleforge serve` on one record and one port, again and again."""

    small, endless = SMALL, ENDLESS

    def __init__(self, folder: Path) -> None:
        self.database = f"sqlite:///{folder}/record.db"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and wait until it serves."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RULEFORGE_")}
        command = [SCRIPT, "serve", "--port", str(self.port), "--db", self.database, "--workers", "1"]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        said = []
        for line in self._process.stderr:
            said.append(line)
            if line.startswith("{") and json.loads(line).get("event") == "serving":
                break
        else:
            raise AssertionError("".join(said))
        # Its log is read to the end, or it would wait for a reader.
        self._reader = threading.Thread(target=self._process.stderr.read, daemon=True)
        self._reader.start()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=60)
            self._reader.join(timeout=60)
            assert self._process.stderr is not None
            self._process.stderr.close()
            self._process = None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running service with a runner, for all tests of a file."""
    running = Server(tmp_path_factory.mktemp("service"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(server: Server) -> Iterator[ruleforge.Client]:
    """A client of it."""
    with ruleforge.Client(server.url) as connected:
        yield connected


class BadLine:
    """A TCP relay to a port. `cut`, given all bytes that came back on a connection, says when it is to break."""

    def __init__(self, port: int, cut: Callable[[bytes], bool]) -> None:
        self._port, self._cut = port, cut
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(here,), daemon=True).start()

    def _relay(self, here: socket.socket) -> None:
        with here, socket.create_connection(("127.0.0.1", self._port)) as there:
            threading.Thread(target=self._forward, args=(here, there), daemon=True).start()
            came = b""
            with suppress(OSError):
                while piece := there.recv(4096):
                    came += piece
                    if self._cut(came):
                        self.cuts += 1
                        here.sendall(piece[: len(piece) // 2])
                        break
                    here.sendall(piece)
            with suppress(OSError):
                here.shutdown(socket.SHUT_RDWR)  # closing alone would wait for the thread that reads from it

    @staticmethod
    def _forward(here: socket.socket, there: socket.socket) -> None:
        with suppress(OSError):
            while piece := here.recv(4096):
                there.sendall(piece)
            there.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()


@pytest.fixture
def bad_line() -> Iterator[Callable[[int, Callable[[bytes], bool]], BadLine]]:
    """Make relays; they end with the test."""
    made: list[BadLine] = []

    def make(port: int, cut: Callable[[bytes], bool]) -> BadLine:
        made.append(BadLine(port, cut))
        return made[-1]

    yield make
    for line in made:
        line.close()
