"""`GET /health`, which says that the process runs, and `/health/ready`, that it can work."""

from __future__ import annotations

import json

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from api.models import Health, Readiness
from api.openapi import operation_name
from api.parts import parts
from api.reply import reply
from shared.errors import Unavailable
from shared.work.liveness import Alive, alive

# These exact bytes are promised, because a simple probe compares texts.
HEALTHY = json.dumps(Health(status="healthy", service="billing-service").model_dump()).encode()
# Seconds. A probe that gets no answer within this takes the process for dead.
READY_SECONDS = 2.0
health = APIBlueprint(
    "health", __name__, abp_tags=[Tag(name="health")], operation_id_callback=operation_name
)


@health.get("/health", responses={200: Health})
def live() -> Response:
    """Answer that the process runs."""
    return Response(HEALTHY, content_type="application/json")


@health.get("/health/ready", responses={200: Readiness, 503: Readiness})
def ready() -> Response:
    """Answer 200 when the process can work, or 503 with the dependency that fails."""
    try:
        signs = alive(parts().store)  # by READY_SECONDS: the front sets the deadline
    except Unavailable:
        return reply(Readiness(status="unavailable", checks={"redis": "unreachable"}), 503)
    # The API records work without these, so they are reported but do not fail the check.
    upkeep = "silent" if signs.upkeep_is_silent() else "ok"
    checks = {"redis": "ok", "workers": _workers(signs), "upkeep": upkeep}
    return reply(Readiness(status="ready", checks=checks))


def _workers(signs: Alive) -> str:
    """Describe the workers; while no upkeep runs, idle workers cannot be told from missing ones."""
    if signs.upkeep_is_silent() and signs.quiet_queues():
        return "unknown while upkeep is silent"
    if silent := signs.silent_queues():
        return "silent: " + ", ".join(silent)
    if stuck := signs.stuck_processes():
        return "stuck: " + ", ".join(stuck)
    return "ok"
