"""The licences of all packages in the images allow anyone to run them."""

import re

import pytest

from tests.conventions.tracked import ROOT

# Strong copyleft, or no licence: a lawyer must look before a release.
FORBIDDEN = re.compile(r"\b(AGPL|GPL(?!.*Lesser)|SSPL|BUSL|UNKNOWN)\b", re.IGNORECASE)
ROW = re.compile(r"^\| (?P<name>[A-Za-z0-9._-]+) +\| (?P<version>\S+) +\| (?P<licence>.+?) +\|$")


def rows():
    lines = (ROOT / "docs" / "licences.md").read_text().splitlines()
    matches = [match for line in lines if (match := ROW.match(line))]
    return {m["name"].lower().replace("_", "-"): m for m in matches if m["name"] != "Name"}


def pins():
    lists = (ROOT / f"requirements-{image}.txt" for image in ("api", "worker"))
    lines = [line for path in lists for line in path.read_text().splitlines()]
    matches = [re.match(r"^([a-z0-9.-]+)(?:\[[a-z,]+\])?==([^ ;]+)(.*)$", line) for line in lines]
    # A package for another platform or Python is not installed here, so its licence is not known.
    return {m[1]: m[2] for m in matches if m and ";" not in m[3]}


@pytest.mark.parametrize(("name", "version"), sorted(pins().items()))
def test_each_package_in_the_images_has_a_licence_on_the_list(name, version):
    row = rows()[name]
    assert row["version"] == version, "run bin/licences"
    assert not FORBIDDEN.search(row["licence"]), row["licence"]
