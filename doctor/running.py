"""Compare the settings that the running service reports with those of this shell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from doctor.service import Service
from shared.printable import without_password
from shared.settings import Settings
from shared.store.durability import Finding
from shared.version import VERSION

Json = dict[str, Any]
# Settings that decide which systems the service talks to; others may differ from host to host.
COMPARED = (
    "REDIS_URL",
    "INSTALLATION",
    "STRIPE_API_BASE",
    "EVENT_SERVICE_URL",
    "EVENT_SERVICE_PATH",
)
GUARDS = {
    "API_KEYS": "anybody who reaches the API can pay and refund",
    "OPERATOR_KEYS": "anybody who reaches the API can use /ops and the console",
}


def examine_running(settings: Settings | None, service: Service) -> Iterator[Finding]:
    """Report the settings of the running service, and those that differ from this shell's.

    Raises `Unavailable` when it does not answer, `CallerError` when it refuses the operator key.
    """
    answer = service.get("/settings")
    theirs = answer["settings"]
    what = f"the service at {without_password(service.url)} answers: version {answer['version']}, "
    yield Finding("ok", "service", f"{what}mode {answer['mode']}")
    if answer["version"] != VERSION:
        what = f"the service runs version {answer['version']}, this command line is {VERSION}"
        yield Finding("warning", "service", what, "Finish the release (docs/releases.md).")
    for name, danger in GUARDS.items():
        if theirs[name] == "not set":
            what = f"the running service has no {name}: {danger}"
            yield Finding("warning", "service", what, f"Set {name} and restart the API.")
        else:
            yield Finding("ok", "service", f"the running service has {name}")
    if settings is not None:
        yield from _differences(settings, answer)


def _differences(settings: Settings, answer: Json) -> Iterator[Finding]:
    theirs = answer["settings"]
    ours: Json = {name: getattr(settings, name.lower()) for name in COMPARED}
    differing = {
        name: (_text(ours[name]), _text(theirs[name]))
        for name in COMPARED
        if _text(ours[name]) != _text(theirs[name])
    }
    if answer["mode"] != settings.mode:
        differing["STRIPE_SECRET_KEY"] = (f"mode {settings.mode}", f"mode {answer['mode']}")
    for name, (here, there) in differing.items():
        yield Finding(
            "warning",
            "service",
            f"the running service has {name} {there}, and here it is {here}",
            "The doctor examines other systems than the service uses: run it "
            "with the service's settings.",
        )
    if not differing:
        yield Finding(
            "ok", "service", "the running service has the settings that the doctor examines"
        )


def _text(value: Any) -> str:
    return without_password(str(value or "")).rstrip("/") or "not set"
