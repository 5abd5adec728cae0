"""`python -m chaos.tether COMMAND…`: become the command, which ends together with its parent.

It is a separate step because the caller has threads, so no code may run between fork and exec.
"""

from __future__ import annotations

import os
import sys

from local.lifeline import die_with_parent

if __name__ == "__main__":
    die_with_parent()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  # our own commands, no shell
