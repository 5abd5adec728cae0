"""Start and end a process quickly: the garbage collector is spared what stays to the end."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting_imports() -> Iterator[None]:
    """Have the collector overlook what the block imports, then, later and when the process ends.

    Of the API's start and end that is 0.4 of 1.1 CPU seconds. Forks share the memory, which a
    collector that went through it would have copied.
    """
    gc.disable()
    yield
    gc.freeze()
    gc.enable()
