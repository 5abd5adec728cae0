"""The command line with its commands built, for the forks of a warm Python.

Typer builds every command in each process, which takes four fifths of a command's computing.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout, suppress
from functools import cache
from io import StringIO

import typer.main

from cli.commands import main

typer.main.get_command = cache(typer.main.get_command)
sys.argv = ["billing", "--version"]
with suppress(SystemExit), redirect_stdout(StringIO()):
    main()
