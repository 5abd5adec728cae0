"""The data directory: its folders, their access rights, and its lock.

    DATA_DIR/lock, run.env          of the current run
    DATA_DIR/sandbox/               of the sandbox
    DATA_DIR/test/, DATA_DIR/live/  of a real account's two modes

Waiting work of the sandbox must never be carried out with a real account, so each has its embedded
Valkey in a folder of its own, which no other user can enter.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from local.refusal import Refusal

Owner = Literal["sandbox", "test", "live"]
OWNER_ONLY = 0o700
PRIVATE = 0o600
PRIVATE_MASK = 0o077  # for all files that this process and its children make from now on
# Versions before 0.2 kept all data in DATA_DIR itself.
OLD_NAMES = ("valkey", "sandbox.json", "receiver.json", "sandbox-secrets.json")
OLD_SIGN_OF_SANDBOX = "sandbox-secrets.json"


class DataDir:
    """The right to write to a data directory, held until the process ends or `close`."""

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises `Refusal` if another run holds it or the folder is not writable."""
        os.umask(PRIVATE_MASK)
        self.path = path.absolute()
        with _refused_unless_usable(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, PRIVATE)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise Refusal(
                f"{path} is in use by another run of this service.\n"
                "Stop that run, or give this one its own folder: DATA_DIR=.data-2"
            ) from None

    def fileno(self) -> int:
        """Return the descriptor that has the lock."""
        return self._descriptor

    def close(self) -> None:
        """Release the lock, so that another run can use the directory."""
        os.close(self._descriptor)

    def folder_of(self, owner: Owner) -> Path:
        """Return the owner's folder, closed to other users. Raises `Refusal`.

        Data of an older version in the directory itself are moved there when they are this owner's.
        """
        folder = self.path / owner
        with _refused_unless_usable(folder):
            folder.mkdir(exist_ok=True)
            folder.chmod(OWNER_ONLY)
            self._adopt_old_layout(folder, owner)
        return folder

    def _adopt_old_layout(self, folder: Path, owner: Owner) -> None:
        old = [self.path / name for name in OLD_NAMES if (self.path / name).exists()]
        was_sandboxes = (self.path / OLD_SIGN_OF_SANDBOX).exists()
        if not old or (owner == "sandbox" and not was_sandboxes):
            return
        if owner != "sandbox" and was_sandboxes:
            raise Refusal(
                f"{self.path / 'valkey'} is of an older version, which kept the data of the "
                "sandbox and of an account together. If it holds no account's work, run `make run` "
                f"once: that moves it to {self.path / 'sandbox'}.\nIf it does, move it yourself: "
                f"mv {self.path / 'valkey'} {folder / 'valkey'}, and remove {OLD_SIGN_OF_SANDBOX}."
            )
        for path in old:
            path.rename(folder / path.name)


@contextmanager
def _refused_unless_usable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refusal(
            f"{error.filename or path} cannot be used ({(error.strerror or str(error)).lower()}).\n"
            "Make it writable, or choose another folder for the data: DATA_DIR=/a/folder"
        ) from None
