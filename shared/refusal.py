"""End a process that cannot start with its settings."""

from __future__ import annotations

import sys
from typing import NoReturn

from shared.errors import Misconfigured

UNUSABLE = 2  # exit status: a person has to change something first


def refuse_start(process: str, error: Misconfigured) -> NoReturn:
    """End this process with status 2 and every problem on standard error, one a line."""
    sys.stderr.write(f"{process} cannot start.\n{error.detail}\n")
    raise SystemExit(UNUSABLE) from error
