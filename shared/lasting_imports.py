"""Start and end a process quickly: the garbage collector skips objects that live to the end."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting_imports() -> Iterator[None]:
    """Make the collector skip the objects that the block imports, until the process ends.

    This saves 0.4 of 1.1 CPU seconds of the API's start and end. Forks share this memory; a
    collector that visited it would cause copies.
    """
    gc.disable()
    yield
    gc.freeze()
    gc.enable()
