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

from shared.settings import Settings

REDACTED = "[redacted]"
# Replacing a shorter text would blacken ordinary words.
SHORTEST_SECRET = 6
CARD_NUMBER = re.compile(r"(?<![\w.-])(?:\d[ -]?){12,18}\d(?![\w-])")
# Other secrets than ours (a customer's client_secret, a caller's key) that a library might print.
SECRET_SHAPES = re.compile(r"\b(?:sk|rk|whsec)_[A-Za-z0-9_+/=]{8,}|_secret_[A-Za-z0-9]{8,}")


def passes_luhn(digits: str) -> bool:
    """Say whether a digit string has a card number's check digit (ISO/IEC 7812)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        total += sum(divmod(int(digit) * (2 if position % 2 else 1), 10))
    return total % 10 == 0


def holds_card_number(text: str) -> bool:
    """Say whether the text carries something that is very probably a raw card number."""
    return any(_is_card(match.group()) for match in CARD_NUMBER.finditer(text))


def _is_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return digits[0] in "3456" and len(set(digits)) > 1 and passes_luhn(digits)


def redact(text: str) -> str:
    """Replace secrets and card numbers in a line that is about to be written."""
    text = SECRET_SHAPES.sub(REDACTED, text)
    return CARD_NUMBER.sub(lambda m: REDACTED if _is_card(m.group()) else m.group(), text)


class RedactingFormatter(structlog.stdlib.ProcessorFormatter):
    """Format as structlog does, then redact: the last gate before the stream."""

    def __init__(self, secrets: Iterable[SecretStr], **options: Any) -> None:
        super().__init__(**options)
        self._secrets = [
            s.get_secret_value() for s in secrets if len(s.get_secret_value()) >= SHORTEST_SECRET
        ]

    def format(self, record: logging.LogRecord) -> str:
        """Return the finished line without secrets."""
        line = super().format(record)
        for secret in self._secrets:
            line = line.replace(secret, REDACTED)
        return redact(line)


def configure_logging(settings: Settings, process: str) -> None:
    """Send every log line of this process to standard error, in the configured format.

    Idempotent; `process` (api, worker, upkeep) is on every line.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _process_name(process),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        RedactingFormatter(
            _known_secrets(settings),
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for noisy in (
        "stripe",
        "urllib3",
        "kombu",
        "amqp",
        "celery.app.trace",
        "celery.worker.strategy",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Give the logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


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
        *settings.api_keys,
        *settings.operator_keys,
    ]
