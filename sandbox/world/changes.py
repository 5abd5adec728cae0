"""Collect which parts of the world changed, for whoever writes them down."""

Key = tuple[str, ...]
"""Names a part: its sort, and within it an account, an id, a number."""


class Changes:
    """Hold the keys of what changed since they were last taken, the first change first.

    Collects nothing until somebody listens: without a state file it would only grow.
    """

    def __init__(self) -> None:
        self.collected = False
        self._keys: dict[Key, None] = {}

    def note(self, *key: str) -> None:
        """Say that a part was changed, or may have been."""
        if self.collected:
            self._keys[key] = None

    def take(self, most: int) -> list[Key]:
        """Return the keys of what changed first, at most so many, and forget them."""
        taken = list(self._keys)[:most] if most < len(self._keys) else list(self._keys)
        for key in taken:
            del self._keys[key]
        return taken
