"""The shape of the code: rules that the linters do not have."""

import io
import re
import subprocess
import sys
import tokenize
import tomllib
from pathlib import Path

import pytest

from tests.conventions.tracked import PACKAGES, ROOT, files, python_files, text_of

BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "services"}
MOST_LINES = 500  # the limit; a review should question a file of over 300 lines
IGNORE = re.compile(r"#\s*(?:noqa|type:\s*ignore)\b.*")
# A rule in brackets or after the colon, then a reason in words, after a second "#" or a dash.
REASONED = re.compile(
    r"#\s*(?:noqa:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|type:\s*ignore\[[a-z, -]+\])\W+(?:\w+\W+)*?\w{3,}"
)
# Joined here so that this file passes its own test.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("deb", "debian", "org"),
        ("proxy", "golang", "org"),
    )
]
MACHINE_PATH = re.compile(r"(?<![\w.$}/])/(?:root|work|home|Users|mnt)/\w")


@pytest.mark.parametrize("package", [*PACKAGES, "tests", "bench", "chaos"])
def test_no_module_is_named_for_nothing(package):
    names = {name: {part.removesuffix(".py") for part in name.parts} for name in files()}
    assert not [
        str(name)
        for name, parts in names.items()
        if name.parts[0] == package and parts & BANNED_NAMES
    ]


def test_a_file_is_not_longer_than_a_person_reads():
    lines = {str(name): len(text_of(name).splitlines()) for name in python_files()}
    assert lines
    assert not {name: count for name, count in lines.items() if count > MOST_LINES}


def ignores_without_a_reason(name):
    tokens = tokenize.generate_tokens(io.StringIO(text_of(name)).readline)
    comments = (token.string for token in tokens if token.type == tokenize.COMMENT)
    ignores = (IGNORE.search(comment) for comment in comments)
    return [ignore[0] for ignore in ignores if ignore and not REASONED.match(ignore[0])]


def test_each_lint_ignore_has_its_reason():
    # To read a file's tokens takes a thousand times as long as to search its text.
    names = [name for name in python_files() if IGNORE.search(text_of(name))]
    assert names
    assert not {str(name): bad for name in names if (bad := ignores_without_a_reason(name))}


def test_the_rule_on_reasons_can_tell_one_from_none():
    assert REASONED.match("# noqa: S603  # our own program")
    assert REASONED.match("# type: ignore[misc]  # flower has no types")
    assert not REASONED.match("# noqa: S603")
    assert not REASONED.match("# noqa")
    assert not REASONED.match("# type: ignore[misc]")


def test_no_file_names_a_registry_or_a_place_of_one_machine():
    texts = {str(name): text_of(name) for name in files()}
    bad = {
        name: [host for host in REGISTRIES if host in text] + MACHINE_PATH.findall(text)
        for name, text in texts.items()
    }
    assert texts
    assert not {name: places for name, places in bad.items() if places}


def test_the_import_rules_hold():
    process = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout


@pytest.mark.parametrize("script", [n for n in files() if n.parts[0] in ("bin", ".ci")], ids=str)
def test_scripts_can_be_run_and_stop_at_the_first_error(script):
    text = text_of(script)
    assert (ROOT / script).stat().st_mode & 0o111, "not executable"
    interpreter = text.splitlines()[0]
    assert interpreter.startswith("#!/usr/bin/env ") or interpreter == "#!/bin/sh"
    if interpreter.endswith("sh"):
        assert re.search(r"^set -(e?uo pipefail|eu)$", text, re.MULTILINE)


def test_make_targets_are_explained_and_call_scripts():
    makefile = text_of(Path("Makefile"))
    for target in re.findall(r"^([a-z-]+):", makefile, re.MULTILINE):
        assert re.search(rf"^{target}:.*## \w", makefile, re.MULTILINE), target
    for script in re.findall(r"^\t@(bin/[\w-]+)", makefile, re.MULTILINE):
        assert (ROOT / script).is_file(), script


def test_every_folder_but_most_tests_is_type_checked() -> None:
    folders = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["files"]
    assert {name.parts[0] for name in python_files()} - {"tests"} | {"tests/unit"} == set(folders)
