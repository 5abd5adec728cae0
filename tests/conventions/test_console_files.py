"""The console's files: small, without foreign code, and unable to run texts of strangers."""

import json
import re
import shutil
import subprocess

import pytest

from tests.conventions.tracked import ROOT
from tests.e2e.test_sandbox_pages import LEAST_CONTRAST, contrast

FOLDER = ROOT / "console" / "page"
MODULES = sorted(FOLDER.rglob("*.js"))
# Functions that turn text into markup or code, or store a key beyond its tab.
BANNED = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function"
    r"|srcdoc|localStorage|document\.cookie|indexedDB"
)
MOST_LINES = 300
MOST_COLUMNS = 100


def test_a_module_is_one_that_a_person_reads():
    assert MODULES
    for path in MODULES:
        lines = path.read_text().splitlines()
        assert lines[0].startswith("// "), f"say first what {path.name} is for"
        assert len(lines) <= MOST_LINES, path.name
        assert [line for line in lines if len(line) > MOST_COLUMNS] == [], path.name


def test_a_module_has_no_way_to_run_text_or_to_keep_a_key():
    assert not {path.name: bad for path in MODULES if (bad := BANNED.findall(path.read_text()))}


def test_no_file_sends_a_browser_elsewhere():
    for path in (path for path in FOLDER.rglob("*") if path.is_file()):
        code = re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.MULTILINE)
        hosts = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", code))
        assert hosts <= {"http://www.w3.org"}, path  # the namespace of SVG


def test_the_page_has_no_script_or_style_of_its_own():
    for name in ("index.html", "docs.html"):
        page = (FOLDER / name).read_text()
        assert re.findall(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:", page) == []


def test_the_advice_is_the_runbooks():
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    table = runbook[runbook.index("| Kind, error | Meaning | Do |") :].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[2:4]] for line in table.splitlines()[2:]]
    advice = (FOLDER / "advice.js").read_text()
    advice = re.sub(r'" \+\s*"', "", advice)
    pairs = re.findall(r'means:\s*"([^"]+)",\s*act:\s*"([^"]+)"', advice)
    assert sorted(pairs) == sorted((means, act.replace("`", "")) for means, act in rows)


def test_a_finding_names_a_section_of_the_runbook():
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    sections = set(re.findall(r"^##+ (.+)$", runbook, re.MULTILINE))
    names = re.findall(r'runbook: "([^"]+)"', (FOLDER / "views" / "findings.js").read_text())
    assert len(names) > 5
    assert set(names) <= sections


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme):
    style = (FOLDER / "style.css").read_text()
    block = style[style.index(f"color-scheme: {scheme};") :].partition("}")[0]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
    pairs = [(text, ground) for text in ("ink", "soft") for ground in ("ground", "paper", "sunken")]
    pairs += [(name, f"{name}-ground") for name in ("good", "bad", "wait", "accent")]
    pairs += [(name, "paper") for name in ("good", "bad", "wait", "accent")]
    pairs += [(name, "sunken") for name in ("good", "wait", "accent")]  # in JSON
    pairs += [("press-ink", "press"), ("accent", "ground"), ("ink", "bad-ground")]
    contrasts = {pair: contrast(*(colours[name] for name in pair)) for pair in pairs}
    assert {pair: ratio for pair, ratio in contrasts.items() if ratio < LEAST_CONTRAST} == {}


def test_the_tools_are_pinned_and_name_no_place_to_fetch_them_from():
    tools = json.loads((ROOT / "console" / "package.json").read_text())
    assert set(tools) & {"dependencies", "optionalDependencies"} == set()  # types are not served
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", pin) for pin in tools["devDependencies"].values())
    locked = json.loads((ROOT / "console" / "package-lock.json").read_text())["packages"]
    assert not [name for name, package in locked.items() if name and "integrity" not in package]
    assert not [name for name, package in locked.items() if "resolved" in package]


def test_the_contract_is_what_the_modules_are_checked_against():
    tools = json.loads((ROOT / "console" / "package.json").read_text())["scripts"]
    assert "../docs/api/openapi.json" in tools["types"]
    settings = json.loads((ROOT / "console" / "tsconfig.json").read_text())["compilerOptions"]
    assert (settings["checkJs"], settings["strict"]) == (True, True)


@pytest.mark.parametrize(("environment", "status"), [({}, 0), ({"CI": "true"}, 1)])
def test_a_machine_without_node_is_told_that_the_javascript_was_not_checked(
    tmp_path, environment, status
):
    for tool in ("bash", "env", "dirname"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    process = subprocess.run(
        [ROOT / "bin" / "lint-console"],
        env={"PATH": str(tmp_path)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == status
    assert "node is not installed, so the console's JavaScript is not checked" in process.stderr
