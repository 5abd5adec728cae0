"""Collect which parts of the world changed, for the state file."""

Key = tuple[str, ...]
"""The key of a part: its kind, and within it an account, an id or a number."""


class Changes:
    """The keys of the parts that changed since the last `take`, the first change first.

    Collects nothing without a state file, because then nobody takes them.
    """

    def __init__(self) -> None:
        self.collected = False
        self._keys: dict[Key, None] = {}

    def note(self, *key: str) -> None:
        """Record that a part changed, or may have changed."""
        if self.collected:
            self._keys[key] = None

    def take(self, most: int) -> list[Key]:
        """Remove and return the keys of the earliest changes, at most `most`."""
        keys = list(self._keys)[:most] if most < len(self._keys) else list(self._keys)
        for key in keys:
            del self._keys[key]
        return keys
