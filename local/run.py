"""One run of the service on this machine, from its checks to the end of the last process."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from local.data_dir import DataDir
from local.embedded_valkey import EmbeddedValkey, ValkeyFailed
from local.output import write
from local.refusal import Refusal
from local.supervisor import Supervisor, read_procfile
from local.surroundings import (
    for_sandbox,
    listening_ports,
    owner_of_data,
    port_problems,
    refuse_busy,
    with_defaults,
    write_run_file,
)
from local.welcome import announce, places, things_to_try
from shared.env_file import ENV_FILE, ENV_FILE_VARIABLE, NO_FILE, EnvFile, given_file
from shared.errors import Misconfigured
from shared.processes import own_environment
from shared.settings import Settings, load_settings, misspelling_problems
from shared.stopping import StopRequest

ROOT = Path(__file__).resolve().parent.parent
UNUSABLE = 2  # exit status: nothing was started, somebody has to change a setting
PORT_OF = {
    "api": "PORT",
    "flower": "FLOWER_PORT",
    "sandbox": "SANDBOX_PORT",
    "receiver": "RECEIVER_PORT",
}
# Set when a stop was requested before the supervisor ran.
_interrupted = StopRequest()


def run(*, sandbox: bool) -> int:
    """Run the service in the foreground until Ctrl-C or SIGTERM; return the exit status.

    0 after Ctrl-C or SIGTERM, 1 when a process died, 2 when it could not be started as asked.
    Changes this process's environment and working directory, because it is the whole program.
    """
    os.chdir(ROOT)
    # Until the supervisor takes over, these signals stop a start in progress. A closed terminal is
    # a request to stop, too.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        return _run(sandbox=sandbox)
    except KeyboardInterrupt:
        return 0
    except (Refusal, Misconfigured) as error:
        why = error.detail if isinstance(error, Misconfigured) else str(error)
        _complain(f"The service cannot start:\n\n{_indent(why)}\n")
        if isinstance(error, Misconfigured):
            _complain(
                "Set them in the environment or in .env (see .env.example), or try the service "
                "without a Stripe account: make run"
            )
        return UNUSABLE
    except ValkeyFailed as error:
        _complain(str(error))
        return UNUSABLE
    except OSError as error:
        # Any file in the data directory: somebody has put something else in its place.
        why = (error.strerror or str(error)).lower()
        what = f"{error.filename or 'A file'} cannot be used ({why})."
        _complain(f"The service cannot start:\n\n{_indent(what)}\n")
        return UNUSABLE


def _run(*, sandbox: bool) -> int:
    if sandbox:
        _require_sandbox_packages()
    # The file belongs to an account: a run on the sandbox must not read it.
    file = NO_FILE if sandbox else given_file(ENV_FILE)
    environment = with_defaults({**file.variables, **os.environ}, sandbox=sandbox)
    if not sandbox:
        _check_settings(environment, file, sandbox=False)
        environment["STRIPE_MODE"] = owner_of_data(environment, sandbox=False)
    with ExitStack() as stack:
        data = DataDir(Path(environment["DATA_DIR"]))
        stack.callback(data.close)
        folder = data.folder_of(owner_of_data(environment, sandbox=sandbox))
        if sandbox:
            environment = for_sandbox(environment, folder)
            _check_settings(environment, file, sandbox=True)
        commands = _commands(environment, sandbox=sandbox)
        refuse_busy(listening_ports(environment, _port_variables(commands)))
        valkey = None
        if "REDIS_URL" not in environment:
            valkey = stack.enter_context(EmbeddedValkey(folder, data))
            environment["REDIS_URL"] = valkey.url
            _store_notice(valkey)
        else:
            _say_if_away()
        write_run_file(data.path / "run.env", environment)
        stack.callback((data.path / "run.env").unlink, missing_ok=True)
        return _supervise(commands, environment, valkey, sandbox=sandbox)


def _interrupt(*_: object) -> None:
    """End the start, and record it: Python drops exceptions in its callbacks at a fork."""
    _interrupted.set()
    raise KeyboardInterrupt


def _say_if_away() -> None:
    """Print that Redis does not answer yet; every process waits for it."""
    # Takes half a second; with the embedded Valkey this process makes no call to Redis.
    from redis.exceptions import RedisError

    from shared.store.connection import connect

    try:
        with connect(load_settings(), "billing-start") as redis:
            redis.ping()
    except RedisError as error:
        _complain(f"Redis does not answer yet ({error}). All processes start and wait for it.")


def _store_notice(valkey: EmbeddedValkey) -> None:
    """Store the notice of a dropped command, so that the console and the doctor show it, too."""
    notice = valkey.notice()
    if notice is None:
        return
    from shared.store.connection import open_store
    from shared.store.durability import note_dropped

    store = open_store(
        load_settings().model_copy(update={"redis_url": valkey.url}), "billing-start"
    )
    note_dropped(store, notice)
    store.redis.close()


def _check_settings(environment: dict[str, str], file: EnvFile, *, sandbox: bool) -> None:
    """Raise `Misconfigured` with all problems: settings, the `.env` file, ports."""
    os.environ.update(environment)
    wrong = port_problems(environment, _port_variables(_commands(environment, sandbox=sandbox)))
    try:
        load_settings(env_file=file)
    except Misconfigured as error:
        wrong = [line for line in wrong if line.split()[0] not in error.detail]
        wrong += error.detail.splitlines()
    if wrong:
        raise Misconfigured("\n".join(sorted(wrong)), code="settings_invalid")
    environment[ENV_FILE_VARIABLE] = os.environ[ENV_FILE_VARIABLE] = ""  # it has been read
    for line in misspelling_problems(os.environ):
        _complain(line)


def _port_variables(commands: Mapping[str, str]) -> list[str]:
    return [PORT_OF[name] for name in commands if name in PORT_OF]


def _seconds_beyond_default() -> float:
    """Return by how much longer than by default a request, and so a stop of the API, may take."""
    usual: float = Settings.model_fields["request_timeout_seconds"].default
    return max(0.0, load_settings().request_timeout_seconds - usual)


def _supervise(
    commands: dict[str, str],
    environment: dict[str, str],
    valkey: EmbeddedValkey | None,
    *,
    sandbox: bool,
) -> int:
    # The Procfiles say "python", which has to be the one with our packages.
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    supervisor = Supervisor(more_seconds=_seconds_beyond_default())
    for name, command in commands.items():
        own = own_environment(name, {**environment, "PATH": path})
        supervisor.add(name, command, own)
    visited = places(environment, list(commands))
    lines = _store_lines(valkey) + things_to_try(environment, sandbox=sandbox)
    supervisor.meanwhile(lambda: announce(visited, lines, _say))
    if valkey is not None:
        store = valkey
        supervisor.meanwhile(
            lambda: supervisor.report_death("valkey", store.wait(), store.last_lines())
        )
    if _interrupted.is_set():
        raise KeyboardInterrupt
    status = supervisor.run()
    if supervisor.death:
        _say(f"\n{supervisor.death}\n\nEverything else was stopped.")
    return status


def _commands(environment: Mapping[str, str], *, sandbox: bool) -> dict[str, str]:
    commands = read_procfile(ROOT / "Procfile")
    if sandbox:
        commands |= read_procfile(ROOT / "Procfile.sandbox")
        if environment.get("EVENT_SERVICE_URL") != _receiver_url(environment):
            del commands["receiver"]
    return commands


def _receiver_url(environment: Mapping[str, str]) -> str:
    return f"http://127.0.0.1:{environment['RECEIVER_PORT']}"


def _store_lines(valkey: EmbeddedValkey | None) -> list[str]:
    if valkey is None:
        return ["  Redis          the one that REDIS_URL names"]
    notice = valkey.notice()
    return [f"  Valkey         embedded: {valkey.url}", *([f"  {notice}"] if notice else [])]


def _require_sandbox_packages() -> None:
    missing = [name for name in ("aiohttp", "jinja2") if not importlib.util.find_spec(name)]
    if missing:
        raise Refusal(
            f"The sandbox needs the packages {' and '.join(missing)}. Install them:\n"
            "pip install -r requirements-sandbox.txt (make run does it by itself)"
        )


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _say(text: str) -> None:
    write(sys.stdout, f"{text}\n")


def _complain(text: str) -> None:
    write(sys.stderr, f"{text}\n")
