"""End the start with a message instead of a traceback if a state file is unreadable."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

UNUSABLE: Final = 2
"""Exit status: a person has to act first."""


@contextmanager
def named_when_damaged(path: str | None) -> Iterator[None]:
    """Exit with a message about the file if the block cannot read it."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        sys.stderr.write(
            f"{path} cannot be read ({type(error).__name__}: {error}).\n"
            "Remove it to start without data, or restore a copy of it.\n"
        )
        raise SystemExit(UNUSABLE) from None
