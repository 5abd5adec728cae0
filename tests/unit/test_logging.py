"""Log lines: those of libraries have the form of our own, with ids and without secrets."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from shared.card_numbers import REDACTED

SECRET = "sk_test_plantedsecretofthetest"
PROGRAM = """
import logging, sys
from shared.telemetry.logging import configure_logging, get_logger
from shared.settings import Settings

early = get_logger("ours")  # as modules do: made before anything is configured
settings = Settings(
    _env_file=None,
    stripe_secret_key="{secret}",
    stripe_webhook_secret="whsec_planted",
    event_service_url="http://127.0.0.1:1",
    log_format=sys.argv[1],
    log_level=sys.argv[2],
)
configure_logging(settings, "worker")
configure_logging(settings, "worker")
early.bind(id="evt_1").info("work_attempt", note="{secret} 4242 4242 4242 4242", status=200)
early.debug("quiet", note="below the level")
logging.getLogger("library").warning("said %s to %s", "{secret}", 4242424242424242)
try:
    raise ValueError("{secret}")
except ValueError as error:
    early.error("failed", exc_info=error)
""".replace("{secret}", SECRET)


def lines(*arguments: str) -> list[str]:
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True
    )
    assert not process.stdout
    return process.stderr.splitlines()


def test_each_line_is_json_with_its_process_logger_level_and_time() -> None:
    ours, library, failed = (json.loads(line) for line in lines("json", "INFO"))
    assert (ours["event"], ours["id"], ours["status"]) == ("work_attempt", "evt_1", 200)
    assert (ours["process"], failed["logger"], ours["level"]) == ("worker", "ours", "info")
    assert "logger" not in ours, "an everyday line says by its event what wrote it"
    assert (library["process"], library["logger"], library["level"]) == (
        *("worker", "library"),
        "warning",
    )
    assert all(line["timestamp"].endswith("Z") for line in (ours, library, failed))
    assert failed["exception"].startswith("Traceback")


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_no_line_holds_a_secret_or_a_card_number(log_format: str) -> None:
    written = "\n".join(lines(log_format, "DEBUG"))
    assert "below the level" in written
    assert SECRET not in written
    assert "4242424242424242" not in written
    assert "4242 4242" not in written
    assert written.count(REDACTED) >= 5


def test_lines_below_the_level_are_not_written() -> None:
    assert [json.loads(line)["logger"] for line in lines("json", "WARNING")] == ["library", "ours"]
