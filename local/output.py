"""What the processes print, together on one terminal: time, name, line."""

from __future__ import annotations

import os
import time
from itertools import cycle
from typing import TextIO

SYSTEM = "system"
COLOURS = ("36", "33", "32", "35", "34", "36;1", "33;1", "32;1", "35;1", "34;1")  # ANSI, no red


class Output:
    """Prints each line behind the time and the name of its process; survives a closed terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._width = len(SYSTEM)
        self._colours: dict[str, str] = {}
        self._palette = cycle(COLOURS if stream.isatty() else ("",))

    def make_room_for(self, name: str) -> None:
        """Count a process in, so that all names take the same width."""
        self._width = max(self._width, len(name))
        self._colours[name] = next(self._palette)

    def system(self, text: str) -> None:
        """Print a line of the supervisor's own."""
        self.line(SYSTEM, text)

    def line(self, name: str, text: str) -> None:
        """Print one line of a process."""
        prefix = f"{time.strftime('%H:%M:%S')} {name:<{self._width}} | "
        colour = self._colours.get(name)
        if colour:
            prefix = f"\x1b[0m\x1b[{colour}m{prefix}\x1b[0m"
        write(self._stream, f"{prefix}{text}\n")


def write(stream: TextIO, text: str) -> None:
    """Write text at once; where the terminal or the pipe is gone, to nowhere from then on."""
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        # Nobody is left to read, and everything still has to be stopped in order. What the stream
        # has in its buffer needs somewhere to go too, or Python's own exit fails on it.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
