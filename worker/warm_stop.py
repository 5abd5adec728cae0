"""Make every signal to stop a warm stop, however often it comes: attempts have deadlines.

With SIGQUIT or a second SIGINT Celery would cancel its tasks, which a pool of threads cannot do,
and with SIGHUP run its command line again as a script, which is not how this worker starts;
whatever supervises the process starts it again. And Celery's handlers take a lock: of two signals
in the same moment, as a terminal's Ctrl-C and a supervisor send them, the second would wait for
the first, which it interrupted, forever.
"""

from __future__ import annotations

import signal
from os import EX_OK

from celery.apps.worker import Worker
from celery.worker import WorkController, state

from shared.stopping import STOPS

# The names of those that came.
signals: list[str] = []


class WarmWorker(Worker):
    """Celery's worker with our handlers of signals."""

    def install_platform_tweaks(self, worker: WorkController) -> None:
        """Replace Celery's handlers as soon as they are there."""
        super().install_platform_tweaks(worker)
        for number in STOPS:
            signal.signal(number, stop)


def stop(number: int, _: object) -> None:
    """Have Celery's loop end after the tasks under way. Another signal may interrupt this."""
    signals.append(signal.Signals(number).name)
    state.should_stop = EX_OK  # type: ignore[assignment]  # the stubs know only its first value
