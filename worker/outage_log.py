"""Log an outage of Redis in one line, instead of one for each attempt of Celery to connect."""

from __future__ import annotations

import logging
import warnings

AWAY, BACK = "Cannot connect to", "Connected to"
LOGGERS = ("celery.worker.consumer.consumer", "celery.worker.consumer.connection")


class OncePerOutage(logging.Filter):
    """Passes the first failure to connect, as one line, and none until a connection succeeds."""

    def __init__(self) -> None:
        super().__init__()
        self._away = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record is logged."""
        text = record.getMessage()
        if BACK in text:
            self._away = False
        if AWAY not in text:
            return True
        was_away, self._away = self._away, True
        record.msg, record.args = " ".join(text.split()), ()
        return not was_away


def install() -> None:
    """Filter Celery's log, and drop its warning about root: no message is ever unpickled."""
    once = OncePerOutage()
    for name in LOGGERS:
        logging.getLogger(name).addFilter(once)
    warnings.filterwarnings("ignore", message="You're running the worker with superuser")
