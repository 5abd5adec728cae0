"""Keep the sandbox's own time: real time, plus whatever a test has advanced it by.

Everything that takes a while at Stripe is a job: a name and plain arguments, due at a moment.
Jobs are data, so that they survive a restart with the rest of the state.
"""

import heapq
import itertools
import time
from dataclasses import dataclass, field

from sandbox.world.objects import Json


@dataclass(order=True)
class Job:
    """Name something to do when its time has come."""

    due: float
    sequence: int
    name: str = field(compare=False)
    args: Json = field(compare=False)


class Clock:
    """Tell the time and hold the jobs that wait for it."""

    def __init__(self) -> None:
        self.offset_seconds = 0.0
        self._pinned: float | None = None
        self._jobs: list[Job] = []
        self._sequence = itertools.count()

    def now(self) -> float:
        """Return the sandbox's time in seconds since 1970."""
        return time.time() + self.offset_seconds if self._pinned is None else self._pinned

    def schedule(self, delay_seconds: float, name: str, args: Json) -> None:
        """Have a job run after a delay in sandbox time."""
        self.schedule_at(self.now() + delay_seconds, name, args)

    def schedule_at(self, due: float, name: str, args: Json) -> None:
        """Have a job run at a moment in sandbox time."""
        heapq.heappush(self._jobs, Job(due, next(self._sequence), name, args))

    def next_due(self) -> float | None:
        """Return when the next job is due, if there is one."""
        return self._jobs[0].due if self._jobs else None

    def pop_due(self) -> Job | None:
        """Take the earliest job whose time has come."""
        if self._jobs and self._jobs[0].due <= self.now():
            return heapq.heappop(self._jobs)
        return None

    def pin(self, moment: float | None) -> None:
        """Hold the time still at a moment (a job's own due time), or let it run again."""
        self._pinned = moment

    def clear(self) -> None:
        """Forget all jobs and return to real time."""
        self._jobs.clear()
        self.offset_seconds = 0.0

    def dump(self) -> Json:
        """Return the state as plain JSON."""
        jobs = [{"due": job.due, "name": job.name, "args": job.args} for job in sorted(self._jobs)]
        return {"offset_seconds": self.offset_seconds, "jobs": jobs}

    def load(self, state: Json) -> None:
        """Take over a state that `dump` returned."""
        self.clear()
        self.offset_seconds = state["offset_seconds"]
        for job in state["jobs"]:
            self.schedule_at(job["due"], job["name"], job["args"])
