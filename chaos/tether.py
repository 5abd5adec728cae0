"""`python -m chaos.tether COMMAND…`: become the command, tied to the life of who started it.

A step of its own because the caller has threads: between its fork and exec nothing may run.
"""

from __future__ import annotations

import os
import sys

from local.lifeline import die_with_parent

if __name__ == "__main__":
    die_with_parent()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  # our own commands, no shell
