"""Whether the process lives, and whether it can work."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from api.models import Health, Readiness
from api.openapi import operation_name
from api.parts import parts
from api.reply import reply
from shared.errors import Unavailable
from shared.work.liveness import Alive, alive

# Byte for byte as it is promised: the simplest of probes compares texts.
HEALTHY = b'{"status": "healthy", "service": "billing-service"}'
# A probe that waits longer than this takes the process for dead, which it is not.
READY_SECONDS = 2.0
health = APIBlueprint(
    "health", __name__, abp_tags=[Tag(name="health")], operation_id_callback=operation_name
)


@health.get("/health", responses={200: Health})
def live() -> Response:
    """Say that the process lives."""
    return Response(HEALTHY, content_type="application/json")


@health.get("/health/ready", responses={200: Readiness, 503: Readiness})
def ready() -> Response:
    """Say whether the process can do its work: 200, or 503 with the dependency that fails."""
    try:
        signs = alive(parts().store)  # by READY_SECONDS: the front sets the deadline
    except Unavailable:
        return reply(Readiness(status="unavailable", checks={"redis": "unreachable"}), 503)
    # Without these the door still does its whole work: it records. So they are told, no more.
    upkeep = "silent" if signs.upkeep_is_silent() else "ok"
    checks = {"redis": "ok", "workers": _workers(signs), "upkeep": upkeep}
    return reply(Readiness(status="ready", checks=checks))


def _workers(signs: Alive) -> str:
    """Judge the workers in a few words; without upkeep nobody can tell whether they are there."""
    if signs.upkeep_is_silent() and signs.quiet_queues():
        return "unknown while upkeep is silent"
    if silent := signs.silent_queues():
        return "silent: " + ", ".join(silent)
    if stuck := signs.stuck_processes():
        return "stuck: " + ", ".join(stuck)
    return "ok"
