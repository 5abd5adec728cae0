"""Celery's log of an outage of Redis: one line when it begins, none for each further try."""

from __future__ import annotations

import logging
import warnings

AWAY, BACK = "Cannot connect to", "Connected to"
LOGGERS = ("celery.worker.consumer.consumer", "celery.worker.consumer.connection")


class OncePerOutage(logging.Filter):
    """Lets the first failure to connect through, on one line, and the next after a success."""

    def __init__(self) -> None:
        super().__init__()
        self._away = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record is written."""
        text = record.getMessage()
        if BACK in text:
            self._away = False
        if AWAY not in text:
            return True
        was_away, self._away = self._away, True
        record.msg, record.args = " ".join(text.split()), ()
        return not was_away


def install() -> None:
    """Log each outage once, and not Celery's warning on root: no message is ever unpickled."""
    once = OncePerOutage()
    for name in LOGGERS:
        logging.getLogger(name).addFilter(once)
    warnings.filterwarnings("ignore", message="You're running the worker with superuser")
