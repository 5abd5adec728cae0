"""End a command whose output cannot be written: to a full disk, or to a reader that has gone."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from cli.client import UNREAD, UNWRITTEN, Failed


@contextmanager
def whole_output() -> Iterator[None]:
    """Let the block write to standard output; raise `Failed` unless all of it was written.

    When the reader has enough (`| head`), the command ends in silence, as other programs do. Rich
    and Click each have their own way for that, and for a full disk Python prints a traceback. None
    of them sees the error here, which is no `OSError`.
    """
    if sys.stdout is None:  # the shell closed it, as `>&-` does
        raise _unwritten("it is closed", "Nothing was done.")
    earlier = sys.stdout
    whole = io.TextIOWrapper(
        io.BufferedWriter(_Output(earlier.fileno(), "wb", closefd=False)),
        encoding=earlier.encoding,
        errors=earlier.errors,
        line_buffering=bool(earlier.line_buffering),
    )
    with redirect_stdout(whole):
        try:
            yield
        finally:
            whole.flush()


class _Output(io.FileIO):
    """The file behind standard output."""

    def write(self, data: Any, /) -> int:
        """Write a part of the data; what comes after an error is dropped.

        Raises `Failed` or, when there is no reader, `SystemExit`.
        """
        try:
            return super().write(data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if isinstance(error, BrokenPipeError):
                raise SystemExit(UNREAD) from error
            raise _unwritten(error.strerror or str(error)) from error


def _unwritten(why: str, then: str = "The command may have been carried out.") -> Failed:
    return Failed(f"The output could not be written ({why}). {then}", UNWRITTEN)
