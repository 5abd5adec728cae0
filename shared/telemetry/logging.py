"""Logging: an event name plus fields, one line each, JSON or readable, ids bound once.

Every logger of the process, ours or a library's, ends in the same line format; values of known
secrets and anything that looks like a card number are replaced before a line is written.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any

import structlog
from pydantic import SecretStr

from shared.bearer_keys import bearer_keys
from shared.card_numbers import REDACTED, redact_card_numbers
from shared.printable import printable, printable_lines
from shared.settings import Settings

# Libraries whose lines at INFO repeat our own lines, without ids.
NOISY = ("stripe", "urllib3", "kombu", "amqp", "celery.app.trace", "celery.worker.strategy")
RENDERER = structlog.dev.ConsoleRenderer(colors=False)
# Field names that most lines have.
TRACEBACKS = ("exception", "stack")
# Characters. Replacing a shorter secret would also replace ordinary words.
SHORTEST_SECRET = 6
# Other secrets than ours (a customer's client_secret, a caller's key) that a library might print.
SECRET_SHAPES = re.compile(r"\b(?:sk|rk|whsec)_[A-Za-z0-9_+/=]{8,}|_secret_[A-Za-z0-9]{8,}")


# A payment has a dozen lines, and blanks would be a tenth of their bytes.
JSON_RENDERER = structlog.processors.JSONRenderer(separators=(",", ":"))


def redact(text: str) -> str:
    """Replace secrets and card numbers in a line that is about to be written."""
    return redact_card_numbers(SECRET_SHAPES.sub(REDACTED, text))


class LineWriter(structlog.WriteLogger):
    """Write each finished line to standard error at once; hold the name of the process."""

    def __init__(self, name: str = "") -> None:
        super().__init__(sys.stderr)
        self.name = name


class Redactor:
    """Remove the values of known secrets, and texts that look like one, from finished lines."""

    def __init__(self, secrets: Iterable[SecretStr]) -> None:
        values = (secret.get_secret_value() for secret in secrets)
        self._secrets = [value for value in values if len(value) >= SHORTEST_SECRET]

    def __call__(self, _: Any, __: str, line: Any) -> str:
        """Return the line without secrets: the last processor before the stream."""
        for secret in self._secrets:
            line = line.replace(secret, REDACTED)
        return redact(line)


def configure_logging(settings: Settings, process: str) -> None:
    """Send every log line of this process to standard error, in the configured format.

    Idempotent; `process` (api, worker, upkeep) is on every line.
    """
    contexts: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _process_name(process),
        structlog.stdlib.add_log_level,
        _logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderers: list[structlog.typing.Processor] = [
        JSON_RENDERER if settings.log_format == "json" else _text,
        Redactor(_known_secrets(settings)),
    ]
    _format_libraries(settings, contexts, renderers)
    # Our own lines do not go through the standard library: its records, handlers and second format
    # cost as much as the rest of a line.
    structlog.configure(
        processors=[*contexts, *renderers],
        logger_factory=LineWriter,
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of a module."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger


def _format_libraries(
    settings: Settings,
    contexts: list[structlog.typing.Processor],
    renderers: list[structlog.typing.Processor],
) -> None:
    """Write the lines of libraries in the format of our own lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=contexts,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def _text(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    """Render a line as text; values from outside are escaped, for a terminal obeys them."""
    escaped = {name: _escape(name, value) for name, value in event.items()}
    return str(RENDERER(logger, method, escaped))


def _escape(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value  # rendered by `repr`, which escapes
    return printable_lines(value) if name in TRACEBACKS else printable(value)


def _logger_name(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Add the module's name, except on our own lines of level info, whose event identifies them."""
    if isinstance(logger, LineWriter) and method == "info":
        return event
    return structlog.stdlib.add_logger_name(logger, method, event)


def _process_name(process: str) -> structlog.typing.Processor:
    def add(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["process"] = process
        return event

    return add


def _known_secrets(settings: Settings) -> list[SecretStr]:
    return [
        settings.stripe_secret_key,
        *settings.stripe_webhook_secret,
        *settings.event_service_secret,
        *(SecretStr(key.secret) for key in bearer_keys(settings.api_keys)),
        *(SecretStr(key.secret) for key in bearer_keys(settings.operator_keys)),
    ]
