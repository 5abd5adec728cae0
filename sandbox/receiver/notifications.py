"""Store the newest notifications: as text, which needs a third of the memory, and in two files.

When a file is full, it becomes the older one and a new one begins, so no file is ever rewritten.
"""

import json
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from sandbox.world.objects import Json

DEFAULT_KEEP: Final = 5_000
"""Most notifications stored: about 15 MB of memory, and on disk up to twice as many."""
SUCCESS: Final = range(200, 300)
OWNER_ONLY: Final = 0o600


class Notification(NamedTuple):
    """A notification as JSON text, with the fields by which it is looked up."""

    id: str | None
    type: str | None
    payment_intent_id: str | None
    text: str


class Notifications:
    """The notifications, and the ids that were answered 2xx, by which duplicates are recognised."""

    def __init__(self, keep: int = DEFAULT_KEEP, path: Path | None = None) -> None:
        self._keep = keep
        self._path = path
        self._came: deque[Notification] = deque(maxlen=keep)
        self._accepted: dict[str, None] = {}
        self._lines = 0

    def restore(self) -> None:
        """Load the notifications that an earlier run stored."""
        for path in self._files():
            self._lines = 0
            for line in _whole_lines(path):
                self._hold(json.loads(line), line)
                self._lines += 1

    def add(self, entry: Json) -> None:
        """Store a notification, also on disk if there is a state file."""
        text = json.dumps(entry)
        self._hold(entry, text)
        if self._path is not None:
            self._append(self._path, text)

    def was_accepted(self, notification_id: object) -> bool:
        """Say whether a notification of this id was answered 2xx before."""
        return notification_id in self._accepted

    def matching(self, criteria: Mapping[str, str]) -> list[str]:
        """Return those with the given `id`, `type`, `payment_intent_id` as JSON, oldest first."""
        fields = [(Notification._fields.index(name), value) for name, value in criteria.items()]
        return [
            one.text for one in self._came if all(one[place] == value for place, value in fields)
        ]

    def newest(self, count: int) -> list[Json]:
        """Return the `count` newest, the newest first."""
        texts = [one.text for one in self._came]
        return [json.loads(text) for text in reversed(texts[-count:])]

    def forget(self) -> None:
        """Delete all notifications."""
        self._came.clear()
        self._accepted.clear()
        self._lines = 0
        for path in self._files():
            path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        """Return the older file and the current one."""
        path = self._path
        return [] if path is None else [path.with_name(path.name + ".1"), path]

    def _hold(self, entry: Json, text: str) -> None:
        data = entry["body"].get("data")
        payment = data.get("payment_intent_id") if isinstance(data, dict) else None
        one = Notification(entry["id"], entry["type"], payment, text)
        self._came.append(one)
        if entry["answered"] in SUCCESS and one.id is not None:
            self._accepted[one.id] = None
            if len(self._accepted) > self._keep:
                del self._accepted[next(iter(self._accepted))]

    def _append(self, path: Path, text: str) -> None:
        if self._lines >= self._keep:
            path.replace(path.with_name(path.name + ".1"))
            self._lines = 0
        if self._lines == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=OWNER_ONLY)
        with path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
        self._lines += 1


def _whole_lines(path: Path) -> list[str]:
    """Return the complete lines of a file; remove an incomplete last one, as a kill may leave."""
    text = path.read_text("utf-8") if path.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, "utf-8")
    return whole.splitlines()
