"""How far a test looks that tries many cases: `bin/test` a little, `bin/test --long` further."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T", int, float)

DEEP = os.environ.get("TEST_DEPTH") == "deep"


def cases(ordinary: T, deep: T) -> T:
    """Return how many cases to try, or how long; a test that is marked `deep` runs both ways."""
    return deep if DEEP else ordinary
