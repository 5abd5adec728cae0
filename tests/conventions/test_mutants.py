"""The list of mutants fits the sources, and docs/mutants.md matches the results."""

from tests.mutants import results
from tests.mutants.catalogue import Mutant, mutants
from tests.mutants.page import PAGE, written
from tests.mutants.trial import ROOT


def fault(mutant: Mutant) -> str:
    """Say why a mutant does not fit the sources; '' if it does."""
    whole = (ROOT / mutant.file).read_text()
    try:
        changed = mutant.applied_to(whole)
    except ValueError as error:
        return str(error)
    lacking = [test for test in mutant.tests if not (ROOT / test).exists()]
    return "it changes nothing" if changed == whole else ", ".join(lacking)


def test_a_mutant_changes_its_file_in_one_place() -> None:
    assert mutants()
    assert not {mutant.label: why for mutant in mutants() if (why := fault(mutant))}


def test_each_mutant_has_a_name_of_its_own() -> None:
    labels = [mutant.label for mutant in mutants()]
    assert len(set(labels)) == len(labels)


def test_the_page_is_the_one_that_the_results_make() -> None:
    assert PAGE.read_text() == written(results.read()), "run make mutants"
