"""The contract in docs/ is the one the service serves."""

from api.contract import text
from tests.conventions.tracked import ROOT


def test_the_contract_on_file_is_the_one_served():
    on_file = (ROOT / "docs" / "api" / "openapi.json").read_text()
    assert on_file == text(), "run bin/openapi"
