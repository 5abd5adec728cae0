"""Faults for tests: calls that fail, are late, hang or are cut off, before or after they act.

A call that fails *before* did not reach its endpoint, one that fails *during* began there and
changed nothing, one that fails *after* took effect.
"""

from dataclasses import asdict, dataclass, field
from typing import Final

from sandbox.world import ids
from sandbox.world.errors import StripeError
from sandbox.world.objects import Json

KINDS: Final = ("error", "delay", "timeout", "disconnect")
PHASES: Final = ("before", "during", "after")
OWN_ERRORS_FROM: Final = 500
"""Lowest status of a failure of Stripe; lower ones are refusals."""
DEFAULT_TYPES: Final = {429: ("invalid_request_error", "rate_limit")}


@dataclass
class Fault:
    """One fault: which calls, how many of them, in which phase, and how."""

    kind: str
    phase: str = "before"
    method: str | None = None
    path_prefix: str = "/"
    status: int = 500
    code: str | None = None
    retry_after: int | None = None
    should_retry: bool | None = None
    delay_seconds: float = 0.0
    times: int | None = 1
    api_key: str | None = None
    """If set, only calls with this key: several clients may share a sandbox."""
    hits: int = 0
    id: str = field(default_factory=lambda: "flt_" + ids.random_text(ids.SHORT_LENGTH))

    def applies_to(self, method: str, path: str, api_key: str) -> bool:
        """Say whether the fault is still active and applies to this call."""
        if self.times is not None and self.hits >= self.times:
            return False
        if self.api_key not in (None, api_key):
            return False
        return self.method in (None, method) and path.startswith(self.path_prefix)

    def error(self) -> StripeError:
        """Return the error for the caller.

        The error of an endpoint that has begun is kept for the key, as Stripe says ("including 500
        errors"). A refusal, such as 429, comes from before the endpoint whenever it is told.
        """
        kind, code = DEFAULT_TYPES.get(self.status, ("api_error", None))
        message = f"A fault of the sandbox fails this call with a {self.status}."
        error = {"type": kind, "code": self.code or code, "message": message}
        began = self.phase != "before" and self.status >= OWN_ERRORS_FROM
        return StripeError(self.status, error, executed=began)

    def headers(self) -> dict[str, str]:
        """Return the headers that tell the caller whether and when to retry."""
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.should_retry is not None:
            headers["Stripe-Should-Retry"] = str(self.should_retry).lower()
        return headers


class Faults:
    """The active faults; the first that applies counts."""

    def __init__(self) -> None:
        self.active: list[Fault] = []

    def take(self, method: str, path: str, api_key: str) -> Fault | None:
        """Return the fault that applies to this call, and count it."""
        for fault in self.active:
            if fault.applies_to(method, path, api_key):
                fault.hits += 1
                return fault
        return None

    def as_json(self) -> list[Json]:
        """Return the faults as JSON, without the keys."""
        return [{**asdict(fault), "api_key": None} for fault in self.active]
