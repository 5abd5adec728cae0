"""Remember answers by idempotency key, as Stripe does.

An answer is stored if its endpoint began to act, whatever the answer is, also an error 500.
The same key with the same request gets the same answer; with another request an error; while the
first request is still running, a conflict. Answers are stored for 24 hours, per account.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Final

from sandbox.world.changes import Changes
from sandbox.world.errors import StripeError, invalid
from sandbox.world.objects import Json

RETENTION_SECONDS: Final = 24 * 3600
"""Stripe prunes keys once they are at least 24 hours old."""
MAX_KEY_LENGTH: Final = 255


@dataclass(frozen=True)
class StoredAnswer:
    """The first answer under a key; its body as text needs a third of the memory."""

    fingerprint: str
    status: int
    text: str
    request_id: str
    at: float

    @property
    def body(self) -> Json:
        """Return the body of the answer."""
        body: Json = json.loads(self.text)
        return body


def fingerprint(method: str, path: str, tree: Json) -> str:
    """Return the path and a hash of a request in which the order of parameters does not matter.

    The tree has lost its card numbers already (`card_numbers.conceal`).
    """
    canonical = json.dumps([method, path, tree], sort_keys=True, separators=(",", ":"))
    return f"{path} {hashlib.sha256(canonical.encode()).hexdigest()}"


def check_key(key: str) -> None:
    """Refuse an empty or overlong key."""
    if not key.strip():
        raise invalid("The `Idempotency-Key` header must not be empty.")
    if len(key) > MAX_KEY_LENGTH:
        message = f"Idempotency keys can be at most {MAX_KEY_LENGTH} characters long, yours has "
        raise invalid(f"{message}{len(key)}.")


class Memory:
    """The newest answers, and the keys of running requests."""

    def __init__(self, changes: Changes, keep: int) -> None:
        self._changes = changes
        self._keep = keep
        self._answers: dict[tuple[str, str], StoredAnswer] = {}
        self._running: set[tuple[str, str]] = set()
        self.counts = {"replays": 0, "conflicts": 0, "mismatches": 0}
        """Counts of repeated keys by result, for the audit of `make chaos`."""

    def begin(self, account: str, key: str, print_: str, now: float) -> StoredAnswer | None:
        """Return the stored answer, or mark the key as running. Raises on conflict or mismatch."""
        self._prune(now)
        place = (account, key)
        if place in self._running:
            self.counts["conflicts"] += 1
            raise _in_use(key)
        earlier = self._answers.get(place)
        if earlier is None:
            self._running.add(place)
            return None
        if earlier.fingerprint != print_:
            self.counts["mismatches"] += 1
            raise _mismatch(key, earlier.fingerprint, print_)
        self.counts["replays"] += 1
        return earlier

    def keep(self, account: str, key: str, answer: StoredAnswer) -> None:
        """Store the answer of an endpoint that has acted."""
        self._answers[account, key] = answer
        self._changes.note("answer", account, key)
        while len(self._answers) > self._keep:
            self._drop(next(iter(self._answers)))

    def _drop(self, place: tuple[str, str]) -> None:
        del self._answers[place]
        self._changes.note("answer", *place)

    def end(self, account: str, key: str) -> None:
        """Mark the request with this key as ended."""
        self._running.discard((account, key))

    def _prune(self, now: float) -> None:
        while self._answers:
            oldest = next(iter(self._answers))
            if self._answers[oldest].at > now - RETENTION_SECONDS:
                return
            self._drop(oldest)

    def forget(self) -> None:
        """Delete all answers and counts."""
        for place in list(self._answers):
            self._drop(place)
        self.counts = dict.fromkeys(self.counts, 0)

    def places(self) -> list[tuple[str, str]]:
        """Return the accounts and keys of the stored answers, oldest first."""
        return list(self._answers)

    def answer(self, account: str, key: str) -> Json | None:
        """Return a stored answer as plain JSON, or None."""
        answer = self._answers.get((account, key))
        return None if answer is None else asdict(answer)

    def load(self, answers: dict[tuple[str, str], Json]) -> None:
        """Load the answers that `answer` returned, by account and key."""
        for (account, key), answer in answers.items():
            self._answers[account, key] = StoredAnswer(**answer)


def _mismatch(key: str, first: str, now: str) -> StripeError:
    first_path, now_path = first.partition(" ")[0], now.partition(" ")[0]
    same = "with the same parameters they were first used with"
    if first_path != now_path:
        same = f"for the same endpoint they were first used for ('{now_path}' vs '{first_path}')"
    message = (
        f"Keys for idempotent requests can only be used {same}. Try using a key other than "
        f"'{key}' if you meant to execute a different request."
    )
    return StripeError(400, {"type": "idempotency_error", "message": message})


def _in_use(key: str) -> StripeError:
    message = (
        f"There is currently another in-progress request using this Idempotent Key: {key}. Please "
        "try again later."
    )
    error = {
        "type": "invalid_request_error",
        "code": "idempotency_key_in_use",
        "message": message,
    }
    return StripeError(409, error)
