"""The output of all processes on one terminal: time, name, line."""

from __future__ import annotations

import os
import time
from itertools import cycle
from typing import TextIO

SYSTEM = "system"
COLOURS = ("36", "33", "32", "35", "34", "36;1", "33;1", "32;1", "35;1", "34;1")  # ANSI, no red


class Output:
    """Prints each line after the time and the name of its process; survives a closed terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._width = len(SYSTEM)
        self._colours: dict[str, str] = {}
        self._palette = cycle(COLOURS if stream.isatty() else ("",))

    def make_room_for(self, name: str) -> None:
        """Add a process, so that all names get the same width."""
        self._width = max(self._width, len(name))
        self._colours[name] = next(self._palette)

    def system(self, text: str) -> None:
        """Print a line of the supervisor."""
        self.line(SYSTEM, text)

    def line(self, name: str, text: str) -> None:
        """Print one line of a process."""
        prefix = f"{time.strftime('%H:%M:%S')} {name:<{self._width}} | "
        colour = self._colours.get(name)
        if colour:
            prefix = f"\x1b[0m\x1b[{colour}m{prefix}\x1b[0m"
        write(self._stream, f"{prefix}{text}\n")


def write(stream: TextIO, text: str) -> None:
    """Write text at once; after the terminal or the pipe is closed, write nothing."""
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        # Nothing reads the output any more, but all processes have to be stopped in order. The
        # buffer of the stream needs a valid target, or Python's own exit fails.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
