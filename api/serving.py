"""The processes of the API: gunicorn's arbiter forks, watches and replaces them.

The processes share one listening socket, so that a process that hangs takes no connection from the
others. The arbiter replaces a process whose event loop has stopped its heartbeat.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
from collections.abc import Callable
from math import ceil
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker

from api.front import BACKLOG, Front, grace_seconds
from shared.hosts import with_port
from shared.settings import Settings
from shared.stopping import STOPS, ignore_stops
from shared.telemetry.logging import get_logger

log = get_logger(__name__)
# Seconds without a turn of its event loop after which a process counts as hung.
HEARTBEAT_SECONDS = 10
BEAT_SECONDS = 1.0
# What a process stops at by itself; SIGHUP is for the arbiter, which replaces its processes.
OWN_STOPS = [number for number in STOPS if number != signal.SIGHUP]


class Process(Worker):  # type: ignore[misc]  # gunicorn has no types
    """One process: an event loop with the front in it."""

    def init_signals(self) -> None:
        """Only note a stop while the application is built.

        gunicorn's own handlers of SIGINT and SIGQUIT wait, so that several would pile up.
        """
        super().init_signals()
        for number in OWN_STOPS:
            signal.signal(number, self.handle_exit)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def run(self) -> None:
        """Serve until a signal comes or the arbiter is gone."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in OWN_STOPS:
            # asyncio's own handlers last only until it closes the loop; these until `ignore_stops`.
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
        if not self.alive:  # asked to stop while it was being built
            stop.set()
        beat = loop.create_task(self._beat(stop))
        front = Front(self.wsgi)
        await front.start([getattr(listening, "sock", listening) for listening in self.sockets])
        await stop.wait()
        await front.stop()
        beat.cancel()
        ignore_stops()
        log.info("api_process_stopped", pid=self.pid)

    async def _beat(self, stop: asyncio.Event) -> None:
        while True:
            self.notify()
            if os.getppid() != self.ppid:
                stop.set()
            await asyncio.sleep(BEAT_SECONDS)


class Lines(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Write gunicorn's own log lines in the format of all others."""

    def setup(self, cfg: Any) -> None:
        """Leave the handlers to `configure_logging`."""
        self.cfg = cfg
        self.loglevel = logging.INFO
        self.error_log.propagate = True
        self.error_log.handlers[:] = []


class Arbiter(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """Run the API's processes."""

    def __init__(self, settings: Settings, build: Callable[[], Flask]) -> None:
        self._settings = settings
        self._build = build
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults."""
        options = {
            "bind": with_port(self._settings.host, self._settings.port),
            "backlog": BACKLOG,
            "workers": self._settings.api_workers,
            "worker_class": Process,
            "timeout": HEARTBEAT_SECONDS,
            "graceful_timeout": ceil(grace_seconds(self._settings)) + 1,
            "control_socket_disable": True,
            "logger_class": Lines,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Build the application in a process."""
        return self._build()

    def reload(self) -> None:
        """Replace the processes, which SIGHUP asks for; they have the code of the start."""
        super().reload()
        log.info(
            "api_processes_replaced",
            detail="Code and settings are those of the start; restart the API to load others.",
        )


def raise_file_limit() -> int:
    """Raise the limit of open files as far as the system allows, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
