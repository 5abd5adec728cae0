"""A state file that cannot be read ends the start with a sentence, not with a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

UNUSABLE: Final = 2
"""Exit status: a person has to do something first."""


@contextmanager
def named_when_damaged(path: str | None) -> Iterator[None]:
    """Name the file and what to do when what is read from it within the block makes no sense."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        sys.stderr.write(
            f"{path} cannot be read ({type(error).__name__}: {error}).\n"
            "Remove it to start with nothing, or put a copy of it back.\n"
        )
        raise SystemExit(UNUSABLE) from None
