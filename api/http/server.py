"""`ruleforge serve` without its options: the record, the runner, the server, and their end in order."""

from __future__ import annotations

import signal
import socket
from dataclasses import dataclass
from types import FrameType

import structlog
import uvicorn

from api.http.app import create_app
from api.http.connection import Connection
from api.http.events import EventHub
from api.http.runner_process import RunnerProcess
from api.http.service import Service
from api.http.telemetry import Observed, configure_logging
from ruleforge.errors import InputError
from ruleforge.store import open_store
from workers.evaluators.choose import LOCAL, number_of_workers

# How long open requests may take at the end, in seconds; event streams end at once.
END_SECONDS = 5


@dataclass(frozen=True)
class Settings:
    """database: URL; port: 0 for any free one; scheduler, workers: of the runner; runner: whether there is one."""

    database: str
    host: str
    port: int
    scheduler: str | None
    workers: int | None
    runner: bool


class _Server(uvicorn.Server):
    """Ends event streams when it is told to end, which would go on for as long as their jobs."""

    def __init__(self, hub: EventHub, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._hub = hub

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Of a signal."""
        self._hub.close()
        super().handle_exit(sig, frame)


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. Raises InputError if the record or the address cannot be used."""
    configure_logging()
    _check(settings)
    with open_store(settings.database) as store, _listening(settings.host, settings.port) as listener:
        runner = RunnerProcess(settings.database, settings.scheduler, settings.workers) if settings.runner else None
        try:
            app = create_app(store, runner, None if settings.scheduler == LOCAL else settings.scheduler)
            service: Service = app.state.service
            server = _Server(
                service.hub,
                uvicorn.Config(
                    Observed(app, service.metrics),
                    http=Connection,
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    timeout_graceful_shutdown=END_SECONDS,
                ),
            )
            host, port = listener.getsockname()[:2]
            address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            structlog.get_logger().info("serving", address=address, docs=f"{address}/docs", record=repr(store))
            # The server raises its signals once more after it has ended; by then they have been heeded.
            # One that comes before it has begun ends it too.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, server.handle_exit)
            server.run(sockets=[listener])
        finally:
            if runner is not None:
                runner.close()


def _check(settings: Settings) -> None:
    """Refuse at once what the runner, which is started again and again, would die of."""
    number_of_workers(settings.workers)
    if settings.scheduler not in (None, LOCAL):
        from workers.cluster.connection import scheduler_place  # Dask takes half a second to import

        scheduler_place(settings.scheduler)
        if settings.workers is not None:
            raise InputError(f"--workers: {settings.scheduler} has as many workers as have joined it: leave it out")


def _listening(host: str, port: int) -> socket.socket:
    """A socket on this address, taken before anything else is begun."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise InputError(f"--host: {host!r} is no address of this machine ({error.strerror})") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise InputError(
            f"cannot listen on {host}, port {port}: {error.strerror}: stop what listens there, or choose another --port"
        ) from None
    return listener
