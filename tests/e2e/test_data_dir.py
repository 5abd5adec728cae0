"""The data directory of `python app.py`: its access rights, and its folders by account.

The supervisor and the embedded Valkey are the real ones, the processes stand-ins.
"""

import os
import shlex
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

ACCOUNT = {
    "STRIPE_SECRET_KEY": "sk_test_of_an_account",
    "STRIPE_WEBHOOK_SECRET": "whsec_of_an_endpoint",
    "EVENT_SERVICE_URL": "http://127.0.0.1:9",
}
LIVE = ACCOUNT | {
    "STRIPE_SECRET_KEY": "sk_live_of_an_account_0123456789",
    "STRIPE_WEBHOOK_SECRET": "whsec_0123456789abcdefghijklmnopqrstuv",
    "EVENT_SERVICE_URL": "https://events.example",
    "EVENT_SERVICE_SECRET": "whsec_" + "A1b2" * 12,
    "API_KEYS": "shop:Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA",
    "OPERATOR_KEYS": "ann:Q29ycmVjdEhvcnNlQmF0dGVyeTEyMzQ1",
}


def more(*cases: Any) -> list[Any]:
    """Mark cases like one before them, each a start of all processes, as long."""
    marked = [case if isinstance(case, tuple) else (case,) for case in cases]
    return [pytest.param(*case, marks=pytest.mark.long) for case in marked]


def redis_url(folder: Path) -> str:
    lines = shlex.split((folder / ".data" / "run.env").read_text())
    return dict(line.split("=", 1) for line in lines)["REDIS_URL"]


def leave(folder: Path, value: str) -> None:
    with Redis.from_url(redis_url(folder)) as client:
        client.set("left", value)


def left(folder: Path) -> bytes | None:
    with Redis.from_url(redis_url(folder)) as client:
        return client.get("left")


def is_open_to_others(path: Path) -> bool:
    return bool(path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def test_nobody_else_can_reach_the_store_or_read_what_it_keeps(start, folder):
    (folder / ".data").mkdir(mode=0o755)  # as an older version or a person may have made it
    run = start().ready()
    store = next(process for process in run.family() if process.name() == "valkey-server")
    assert store.net_connections("inet") == []
    private = folder / ".data" / "sandbox"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    inside = [*private.rglob("*"), *(folder / ".data").glob("*")]
    names = {path.name for path in inside}
    assert {"valkey.sock", "valkey.log", "sandbox-secrets.json", "run.env"} <= names
    assert [path for path in inside if is_open_to_others(path)] == []


def test_what_a_process_writes_is_its_users_alone(start, folder):
    (folder / "Procfile").write_text(
        "api: sh -c 'touch .data/made; exec python stand_in.py api PORT'\n"
        "flower: python stand_in.py flower FLOWER_PORT\n"
    )
    start().ready()
    assert not is_open_to_others(folder / ".data" / "made")


def test_a_path_too_long_for_a_socket_is_no_reason_for_a_port(start, folder):
    long = folder / ("a" * 60) / ("b" * 60)
    run = start(DATA_DIR=str(long)).ready()
    store = next(process for process in run.family() if process.name() == "valkey-server")
    assert store.net_connections("inet") == []
    sockets = [Path(c.laddr) for c in store.net_connections("unix") if c.laddr]
    assert sockets
    assert all(stat.S_IMODE(path.parent.stat().st_mode) == 0o700 for path in sockets)
    run.process.terminate()
    assert run.ended() == 0
    assert not any(path.parent.exists() for path in sockets)


def test_the_sandboxs_data_and_an_accounts_lie_apart(start, folder):
    def visit(*arguments: str, **settings: str) -> bytes | None:
        run = start(*arguments, **settings).ready()
        leftovers = left(folder)
        leave(folder, arguments[0] if arguments else "sandbox")
        run.process.terminate()
        assert run.ended() == 0
        return leftovers

    assert visit() is None
    assert visit("app.py", **ACCOUNT) is None
    assert visit("app.py", **LIVE) is None
    assert visit() == b"sandbox"
    assert {path.name for path in (folder / ".data").iterdir() if path.is_dir()} == {
        "sandbox",
        "test",
        "live",
    }


def test_the_sandboxs_data_of_an_older_version_are_moved_to_its_folder(start, folder):
    make_old_layout(start, folder, ("valkey", "sandbox-secrets.json"))
    start().ready()
    assert left(folder) == b"long ago"
    assert not (folder / ".data" / "valkey").exists()


def test_an_accounts_data_of_an_older_version_are_moved_to_its_folder(start, folder):
    make_old_layout(start, folder, ("valkey",))
    sandbox = start().ready()
    assert left(folder) is None
    sandbox.process.terminate()
    sandbox.ended()
    assert (folder / ".data" / "valkey").exists(), "they are not the sandbox's"
    start("app.py", **ACCOUNT).ready()
    assert left(folder) == b"long ago"
    assert not (folder / ".data" / "valkey").exists()


def test_data_of_an_older_version_that_may_be_the_sandboxs_meet_no_account(start, folder):
    make_old_layout(start, folder, ("valkey", "sandbox-secrets.json"))
    run = start("app.py", **ACCOUNT)
    assert run.ended() == 2
    assert "kept the data of the sandbox and of an account together" in run.output


def make_old_layout(start, folder, names) -> None:
    run = start().ready()
    leave(folder, "long ago")
    run.process.terminate()
    run.ended()
    new = folder / ".data" / "sandbox"
    for name in names:
        (new / name).rename(folder / ".data" / name)
    for path in new.glob("*.json"):
        path.unlink()
    new.rename(folder / "unused")


def test_a_data_dir_that_cannot_be_used_is_said_in_a_sentence(start, folder):
    (folder / "a-file").touch()
    run = start(DATA_DIR="a-file/data")
    assert run.ended() == 2
    assert "a-file" in run.output
    assert "not a directory" in run.output
    assert "DATA_DIR=" in run.output
    assert "Traceback" not in run.output


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_data_dir_without_the_right_to_write_is_said_in_a_sentence(start, folder):
    (folder / ".data").mkdir(mode=0o500)
    run = start()
    assert run.ended() == 2
    assert "permission denied" in run.output


@pytest.mark.parametrize(
    "content", ["{", *more("[]", '{"STRIPE_WEBHOOK_SECRET": "whsec_1"}', "null")]
)
def test_a_damaged_file_of_secrets_is_named_with_what_to_do(start, folder, content):
    file = folder / ".data" / "sandbox" / "sandbox-secrets.json"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    run = start()
    assert run.ended() == 2
    assert "sandbox-secrets.json is damaged. Remove it" in run.output
    assert "Traceback" not in run.output


def test_a_torn_last_command_is_told(start, folder):
    run = start().ready()
    leave(folder, "whole")
    run.process.terminate()
    run.ended()
    files = sorted((folder / ".data" / "sandbox" / "valkey" / "appendonlydir").glob("*.incr.aof"))
    with files[-1].open("ab") as log:
        log.write(b"*3\r\n$3\r\nSET\r\n$4\r\nle")
    run = start().ready()
    assert "A crash left an incomplete last command" in run.output
    assert left(folder) == b"whole"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


def put_file(path: Path) -> None:
    shutil.rmtree(path)
    path.touch()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("appendonly.aof.1.base.rdb", cut),
        *more(
            ("appendonly.aof.manifest", lambda path: path.write_text("garbage\n")),
            ("appendonly.aof.1.base.rdb", Path.unlink),
            ("appendonly.aof.1.incr.aof", lambda path: path.write_text("garbage\n")),
            ("", put_file),
        ),
    ],
)
def test_a_damaged_store_is_told_in_sentences_with_what_to_do(start, folder, name, damage):
    start().ready().end()
    store = folder / ".data" / "sandbox" / "valkey"
    damage(store / "appendonlydir" / name)
    run = start()
    assert run.ended() == 2
    assert f"cannot read its data in {store}" in run.output
    assert "move it away" in " ".join(run.output.split())
    assert len(run.output.splitlines()) < 10


@pytest.mark.parametrize("name", ["sandbox/valkey", *more("run.env", "sandbox/valkey/valkey.log")])
def test_what_lies_in_the_place_of_a_file_is_named(start, folder, name):
    start().ready().end()
    path = folder / ".data" / name
    if path.is_dir():
        put_file(path)
    else:
        path.unlink(missing_ok=True)
        path.mkdir()
    run = start()
    assert run.ended() == 2
    assert f"{path} cannot be used" in run.output
    assert "Traceback" not in run.output
