"""`python app.py` as a supervisor, with stand-ins for the real processes.

`test_readme_story.py` runs the real processes.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
import redis

from tests.e2e.stand_ins import PORTS, different_ports
from tests.servers import PATIENCE_SECONDS
from tests.stopwatch import Stopwatch


def all_gone(family: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(family, timeout=PATIENCE_SECONDS)
    return not alive


def test_a_start_says_where_everything_is_and_what_to_try(start, environment):
    run = start(cold=True).ready()
    for variable in PORTS:
        assert f"http://127.0.0.1:{environment[variable]}" in run.output
    assert "unix:///" in run.output
    assert f"curl http://127.0.0.1:{environment['PORT']}/api/payment/process" in run.output


def test_ctrl_c_reaches_the_children_as_one_sigterm_and_leaves_nothing(start):
    run = start(STOP_DELAY="0.5").ready()
    family = run.family()
    os.killpg(run.process.pid, signal.SIGINT)  # as a terminal does
    assert run.ended() == 0
    assert "was interrupted" not in run.output
    for name in ("api", "worker", "flower", "sandbox", "receiver"):
        assert run.output.count(f"{name} stops") == 1
    assert len(family) > 5
    assert all_gone(family)


def test_what_a_worker_hands_back_while_it_stops_is_there_at_the_next_start(start):
    first = start(STOP_DELAY="0.3").ready()
    first.process.terminate()
    assert first.ended() == 0
    second = start().ready()
    url = re.search(r"unix:///\S+", second.output)
    assert url
    with redis.Redis.from_url(url[0]) as store:
        assert store.lrange("handed back", 0, -1) == [b"work"]
    assert url[0] in first.output, "the embedded Valkey keeps its place"


@pytest.mark.parametrize(
    ("stop", "after_seconds"),
    [
        (signal.SIGTERM, 0.6),
        (signal.SIGINT, 0.3),
        (signal.SIGHUP, 0.8),
        *(
            pytest.param(stop, seconds, marks=pytest.mark.long)
            for stop, others in (
                (signal.SIGTERM, (0.3, 0.8, 1.2)),
                (signal.SIGINT, (0.6, 0.8, 1.2)),
                (signal.SIGHUP, (0.3, 0.6, 1.2)),
            )
            for seconds in others
        ),
    ],
)
def test_a_stop_during_the_start_leaves_nothing(start, stop, after_seconds):
    run = start(cold=True)
    time.sleep(after_seconds)  # the moment of the stop is the parameter
    family = run.family()
    run.process.send_signal(stop)
    run.ended()
    # The stop may interrupt Python itself; once our code runs, it has to be a clean end.
    assert "Traceback" not in run.output or "started" not in run.output
    assert all_gone(family)


def test_a_stop_that_comes_in_the_middle_of_a_fork_is_not_lost(start, folder):
    """Python ignores exceptions in its callbacks at a fork, such as those of logging."""
    stop = "os.kill(os.getpid(), signal.SIGTERM)"
    (folder / "sitecustomize.py").write_text(
        f"import os, signal\nos.register_at_fork(after_in_parent=lambda: {stop})\n"
    )
    run = start(cold=True, PYTHONPATH=str(folder))
    assert run.ended() == 0
    assert "Exception ignored" in run.output
    assert "started" not in run.output


@pytest.mark.parametrize("status", [pytest.param(0, marks=pytest.mark.long), 3])
def test_a_child_that_ends_is_named_with_its_last_lines_and_ends_the_rest(start, folder, status):
    run = start().ready()
    family = run.family()
    # In one step: the stand-in reads the file all the time, and an empty one names no status.
    (folder / "written").write_text(str(status))
    (folder / "written").rename(folder / "die-worker")
    assert run.ended() == 1
    assert f"worker ended by itself with exit status {status}. Its last lines:" in run.output
    assert "    worker says its last words\n" in run.output
    assert all_gone(family)


def test_a_killed_child_is_named_with_its_signal(start):
    run = start().ready()
    os.kill(run.pid_of("api"), signal.SIGKILL)
    assert run.ended() == 1
    assert "api was killed by SIGKILL. Its last lines:" in run.output


def test_a_child_that_cannot_start_is_named(start, folder):
    (folder / "Procfile").write_text("api: python stand_in.py api PORT\nworker: no-such-program\n")
    run = start()
    assert run.ended() == 1
    assert "worker ended by itself with exit status 127" in run.output
    assert "not found" in run.output


def test_a_killed_store_ends_everything_and_is_named(start):
    run = start().ready()
    family = run.family()
    store = next(process for process in family if process.name() == "valkey-server")
    store.kill()
    assert run.ended() == 1
    assert "valkey was killed by SIGKILL. Its last lines:" in run.output
    assert "Ready to accept connections" in run.output
    assert all_gone(family)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_children_do_not_outlive_a_killed_supervisor(start):
    run = start().ready()
    family = run.family()
    run.process.kill()
    assert all_gone(family)
    assert start().ready()


def test_a_stuck_child_is_killed_when_its_grace_is_over(start, folder):
    (folder / "impatient.py").write_text(
        "import sys, local.supervisor\n"
        "local.supervisor.STOP_GRACE_SECONDS = 1\n"
        "from local.run import run\n"
        "sys.exit(run(sandbox=True))\n"
    )
    run = start("impatient.py", STUCK="worker").ready()
    family = run.family()
    asked_at = time.monotonic()
    with Stopwatch() as watch:
        run.process.terminate()
        assert run.ended() == 0
    assert time.monotonic() - asked_at >= 1
    assert watch.seconds < 4
    assert "sending SIGKILL to worker" in run.output
    assert all_gone(family)


def test_busy_ports_are_all_named_with_their_variables_and_nothing_starts(
    start, environment, folder
):
    with socket.socket() as one, socket.socket() as other:
        for busy, variable in ((one, "PORT"), (other, "RECEIVER_PORT")):
            busy.bind(("127.0.0.1", int(environment[variable])))
            busy.listen()
        run = start()
        assert run.ended() == 2
    assert re.search(r"port \d+ on 127.0.0.1 cannot be used .* PORT=\d+", run.output)
    assert re.search(r"choose another: RECEIVER_PORT=\d+", run.output)
    assert "started" not in run.output
    assert not (folder / ".data" / "sandbox" / "valkey").exists()


def test_a_second_run_on_the_same_data_is_refused(start, environment):
    start().ready()
    second = start(**different_ports())
    assert second.ended() == 2
    assert ".data is in use by another run" in second.output
    assert "DATA_DIR=" in second.output


@pytest.mark.skipif(sys.platform != "linux", reason="reads the state of a process")
def test_data_that_an_orphaned_store_still_writes_is_refused(start):
    run = start().ready()
    store = next(process for process in run.family() if process.name() == "valkey-server")
    store.suspend()  # so that it does not notice the death of its parent
    run.process.kill()
    run.ended()
    try:
        assert start().ended() == 2
    finally:
        store.resume()
    assert all_gone([store])
    assert start().ready()


def test_without_settings_one_message_names_each_missing_variable(start):
    run = start("app.py")
    assert run.ended() == 2
    for variable in ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "EVENT_SERVICE_URL"):
        assert f"{variable} is not set" in run.output
    assert "Traceback" not in run.output
    assert "make run" in run.output


def test_a_misspelled_name_in_the_shell_is_named_and_no_reason_to_refuse(start):
    run = start(OPERATER_KEYS="key").ready()
    assert "OPERATER_KEYS is not a setting: do you mean OPERATOR_KEYS?" in run.output


def test_all_that_is_wrong_is_told_at_once_wherever_it_is_written(start, folder):
    (folder / ".env").write_text('API_KEY=key\nEVENT_SERVICE_URL="http://a.example\n')
    run = start("app.py", STRIPE_SECRET_KEY="pk_test_1", FLOWER_PORT="x", OPERATER_KEYS="key")
    assert run.ended() == 2
    for problem in (
        ".env line 2 cannot be read: a line is NAME=value",
        "API_KEY is not a setting: do you mean API_KEYS?",
        "EVENT_SERVICE_URL is not set",
        "FLOWER_PORT is not valid: x is not a port",
        "OPERATER_KEYS is not a setting: do you mean OPERATOR_KEYS?",
        "STRIPE_SECRET_KEY is not valid",
        "STRIPE_WEBHOOK_SECRET is not set",
    ):
        assert run.output.count(problem) == 1, problem


@pytest.mark.parametrize("content", [b"\xff\xfeS\x00", "A=ä".encode("latin-1")])
def test_an_env_file_that_is_no_text_is_named(start, folder, content):
    (folder / ".env").write_bytes(content)
    run = start("app.py")
    assert run.ended() == 2
    assert ".env cannot be read: it is no text in UTF-8" in run.output
    assert "Traceback" not in run.output


def test_a_misspelled_name_in_the_env_file_alone_is_refused(start, folder):
    (folder / ".env").write_text("OPERATER_KEYS=key\n")
    run = start(
        "app.py",
        STRIPE_SECRET_KEY="sk_test_of_an_account",
        STRIPE_WEBHOOK_SECRET="whsec_of_an_endpoint",
        EVENT_SERVICE_URL="http://127.0.0.1:9",
    )
    assert run.ended() == 2
    assert "OPERATER_KEYS is not a setting: do you mean OPERATOR_KEYS?" in run.output


def test_why_it_cannot_start_is_said_where_errors_are_said(folder, environment):
    process = subprocess.run(
        [sys.executable, "app.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr.count(" is not set: ") == 3
    assert "settings_invalid" not in process.stderr


def test_with_settings_the_real_stripe_is_used_and_no_sandbox_started(start):
    run = start(
        "app.py",
        STRIPE_SECRET_KEY="sk_test_of_an_account",
        STRIPE_WEBHOOK_SECRET="whsec_of_an_endpoint",
        EVENT_SERVICE_URL="http://127.0.0.1:9",
    ).ready()
    assert "api is up, Stripe is None" in run.output
    assert "sandbox" not in run.output
    assert "receiver" not in run.output


def test_a_sandbox_run_ignores_the_stripe_key_of_the_env_file(start, folder, environment):
    (folder / ".env").write_text(
        "STRIPE_SECRET_KEY=sk_live_of_an_account\nSTRIPE_API_BASE=https://elsewhere.example\n"
        "REDIS_URL=redis://production.example\nEVENT_SERVICE_URL=https://events.example\n"
    )
    run = start().ready()
    sandbox = f"http://127.0.0.1:{environment['SANDBOX_PORT']}"
    assert f"api is up, Stripe is {sandbox}" in run.output
    assert "receiver is up" in run.output
    assert "example" not in run.output


def test_a_sandbox_run_refuses_a_live_key(start):
    run = start(STRIPE_SECRET_KEY="sk_live_of_an_account")
    assert run.ended() == 2
    assert "STRIPE_SECRET_KEY is a live key" in run.output


def test_an_event_service_of_ones_own_replaces_the_receiver(start):
    run = start(EVENT_SERVICE_URL="http://127.0.0.1:9").ready()
    assert "receiver" not in run.output


def test_missing_packages_are_said_with_the_command_that_installs_them(folder, environment):
    process = subprocess.run(
        [sys.executable, "-S", "app.py"],  # -S: a Python without any packages
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    assert "pip install -r requirements.txt" in process.stderr
    assert "Traceback" not in process.stderr


def test_a_process_that_dies_takes_what_it_started_with_it(start, folder):
    (folder / "Procfile").write_text(
        "api: sleep 300 & exec python stand_in.py api PORT\n"
        "worker: python stand_in.py worker\n"
        "flower: python stand_in.py flower FLOWER_PORT\n"
    )
    run = start().ready()
    family = run.family()
    assert "sleep" in {process.name() for process in family}
    os.kill(run.pid_of("api"), signal.SIGKILL)
    assert run.ended() == 1
    assert "api was killed by SIGKILL" in run.output
    assert all_gone(family)


def test_a_run_whose_terminal_is_gone_still_stops_in_order(folder, environment):
    run = subprocess.Popen(
        [sys.executable, "app.py", "--sandbox"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert run.stdout
    run.stdout.readline()
    family = psutil.Process(run.pid).children(recursive=True)
    run.stdout.close()
    run.terminate()
    assert run.wait(40) == 0
    assert all_gone(family)
