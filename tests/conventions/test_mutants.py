"""The list of mutants fits the sources, and docs/mutants.md matches the results."""

import pytest

from tests.mutants import results
from tests.mutants.catalogue import Mutant, mutants
from tests.mutants.page import PAGE, written
from tests.mutants.trial import ROOT


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.label)
def test_a_mutant_changes_its_file_in_one_place(mutant: Mutant) -> None:
    whole = (ROOT / mutant.file).read_text()
    assert mutant.applied_to(whole) != whole
    assert all((ROOT / test).exists() for test in mutant.tests)


def test_each_mutant_has_a_name_of_its_own() -> None:
    labels = [mutant.label for mutant in mutants()]
    assert len(set(labels)) == len(labels)


def test_the_page_is_the_one_that_the_results_make() -> None:
    assert PAGE.read_text() == written(results.read()), "run make mutants"
