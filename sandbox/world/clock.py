"""The sandbox's time: real time, plus the seconds by which tests have advanced it.

Everything that takes time at Stripe is a job: a name and plain arguments, due at a time. Jobs are
data, so that they survive a restart with the rest of the state.
"""

import heapq
import itertools
import time
from dataclasses import dataclass, field

from sandbox.world.changes import Changes
from sandbox.world.objects import Json


@dataclass(order=True)
class Job:
    """A named action that is due at a time."""

    due: float
    sequence: int
    name: str = field(compare=False)
    args: Json = field(compare=False)


class Clock:
    """The time, and the jobs that wait for it."""

    def __init__(self, changes: Changes) -> None:
        self.offset_seconds = 0.0
        self._pinned: float | None = None
        self._jobs: list[Job] = []
        self._waiting: dict[int, Job] = {}
        self._sequence = itertools.count()
        self._changes = changes

    def now(self) -> float:
        """Return the sandbox's time in seconds since 1970."""
        return time.time() + self.offset_seconds if self._pinned is None else self._pinned

    def schedule(self, delay_seconds: float, name: str, args: Json) -> None:
        """Schedule a job after a delay in sandbox time."""
        self.schedule_at(self.now() + delay_seconds, name, args)

    def schedule_at(self, due: float, name: str, args: Json) -> None:
        """Schedule a job at a time in sandbox time."""
        self._push(Job(due, next(self._sequence), name, args))

    def _push(self, job: Job) -> None:
        heapq.heappush(self._jobs, job)
        self._waiting[job.sequence] = job
        self._changes.note("job", str(job.sequence))

    def next_due(self) -> float | None:
        """Return when the next job is due, if there is one."""
        return self._jobs[0].due if self._jobs else None

    def pop_due(self) -> Job | None:
        """Remove and return the earliest job that is due, if any."""
        if self._jobs and self._jobs[0].due <= self.now():
            job = heapq.heappop(self._jobs)
            del self._waiting[job.sequence]
            self._changes.note("job", str(job.sequence))
            return job
        return None

    def move(self, seconds: float) -> None:
        """Advance the sandbox's time by some seconds."""
        self.offset_seconds += seconds
        self._changes.note("offset")

    def pin(self, moment: float | None) -> None:
        """Stop the time at a moment (a job's due time), or let it run again with None."""
        self._pinned = moment

    def clear(self) -> None:
        """Remove all jobs and return to real time."""
        for sequence in self._waiting:
            self._changes.note("job", str(sequence))
        self._jobs.clear()
        self._waiting.clear()
        self.move(-self.offset_seconds)

    def sequences(self) -> list[str]:
        """Return the numbers of the jobs that wait."""
        return [str(sequence) for sequence in self._waiting]

    def job(self, sequence: str) -> Json | None:
        """Return a waiting job as plain JSON, or None."""
        job = self._waiting.get(int(sequence))
        return None if job is None else {"due": job.due, "name": job.name, "args": job.args}

    def load(self, offset_seconds: float, jobs: dict[str, Json]) -> None:
        """Load a time, and the jobs that `job` returned, by their numbers."""
        self.offset_seconds = offset_seconds
        for number, job in jobs.items():
            self._push(Job(job["due"], int(number), job["name"], job["args"]))
        self._sequence = itertools.count(max(map(int, jobs), default=-1) + 1)
