"""`python -m worker.flower`: Flower for our queues, which accepts only a known `Host` header.

Flower itself accepts any `Host`, so that any web page could read it by DNS rebinding.
"""

from __future__ import annotations

import os
import sys
from http import HTTPStatus
from typing import Any

from shared.lasting_imports import lasting_imports

with lasting_imports():
    import flower.command
    from celery.bin.celery import main as celery
    from flower.app import Flower
    from tornado.httputil import HTTPServerRequest
    from tornado.web import ErrorHandler

    from shared.errors import Misconfigured
    from shared.hosts import LOOPBACK_NAMES, is_known_host
    from shared.refusal import refuse_start

HEALTH_PATH = "/healthcheck"  # called by IP address; its answer contains no data


class GuardedFlower(Flower):  # type: ignore[misc]  # Flower has no types
    """Flower that refuses an unknown `Host`."""

    allowed_hosts: tuple[str, ...] = ()

    def find_handler(self, request: HTTPServerRequest, **options: Any) -> Any:
        """Choose the handler of a request, which refuses an unknown `Host` with 421."""
        if request.path == HEALTH_PATH or is_known_host(request.host, self.allowed_hosts):
            return super().find_handler(request, **options)
        refusal = {"status_code": HTTPStatus.MISDIRECTED_REQUEST}
        return self.get_handler_delegate(request, ErrorHandler, refusal)


def main() -> None:
    """Serve until SIGTERM; the arguments are Flower's own."""
    try:
        _require_password(sys.argv[1:])
        with lasting_imports():
            from worker.watched_queues import settings
    except Misconfigured as error:
        refuse_start("Flower", error)
    GuardedFlower.allowed_hosts = settings.allowed_hosts
    flower.command.Flower = GuardedFlower
    # By default Flower tells every worker to send task events, whatever TASK_EVENTS says.
    events = f"--enable_events={settings.task_events}"
    sys.argv = ["celery", "--app", "worker.watched_queues", "flower", events, *sys.argv[1:]]
    celery()


def _require_password(arguments: list[str]) -> None:
    """Require a password unless only this machine can connect. Raises `Misconfigured`."""
    address = next((a.partition("=")[2] for a in arguments if a.startswith("--address=")), "")
    if address in LOOPBACK_NAMES or os.environ.get("FLOWER_BASIC_AUTH"):
        return
    raise Misconfigured(
        "FLOWER_BASIC_AUTH is not set: set it to user:password, for other machines reach Flower",
        code="settings_invalid",
    )


if __name__ == "__main__":
    main()
