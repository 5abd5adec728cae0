"""A process that dies after a step of its work, before anything follows from the step."""

from __future__ import annotations

from typing import Any

import pytest

from api import problems
from shared.store.scripts import Call, Store

# A thread of its own draws calls to Stripe in advance; that is no step of a request.
BUDGET = "draw"


class Mortal:
    """Counts the scripts that are run, and lets the process die after one of them.

    The API answers 500 then, and does nothing more: nothing handles the error.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        self._last: int | None = None
        run = Store.run

        def step(store: Store, call: Call) -> Any:
            result = run(store, call)
            self._count(call.script)
            return result

        patch.setattr(Store, "run", step)
        patch.setattr(Store, "run_each", lambda store, calls: [store.run(one) for one in calls])
        # To write a traceback takes a second.
        patch.setattr(problems.log, "error", lambda *_, **__: None)

    def dies_after(self, step: int | None) -> None:
        """Count anew, and die after this number of steps; never for None."""
        self.steps, self._last = [], step

    def _count(self, script: str) -> None:
        if script == BUDGET:
            return
        self.steps.append(script)
        if len(self.steps) == self._last:
            raise RuntimeError("the process dies")
