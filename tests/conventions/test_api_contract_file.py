"""The contract in docs/ is the one that the service serves."""

import json

from openapi_spec_validator import OpenAPIV31SpecValidator

from api.contract import text
from api.hosts import OPEN_PATHS
from api.messages import FAULTS
from tests.conventions.tracked import ROOT


def test_the_contract_is_openapi_3_1_by_its_own_schema():
    problems = OpenAPIV31SpecValidator(json.loads(text())).iter_errors()
    assert [problem.message for problem in problems] == []


def test_nothing_in_the_contract_has_null_for_its_default():
    # Otherwise the generated types of a client require optional fields.
    assert '"default": null' not in text()


def test_operations_are_named_for_what_they_do():
    paths = json.loads(text())["paths"].values()
    names = [operation["operationId"] for path in paths for operation in path.values()]
    assert {"paymentProcess", "refundDetails", "opsDeadLetters"} <= set(names)
    assert len(set(names)) == len(names)


def test_the_contract_on_file_is_the_one_served():
    on_file = (ROOT / "docs" / "api" / "openapi.json").read_text()
    assert on_file == text(), "run bin/openapi"


def test_an_operation_names_the_refusals_before_its_route():
    for path, operations in json.loads(text())["paths"].items():
        for method, operation in operations.items():
            statuses = {str(fault.status) for fault in FAULTS}
            statuses |= set() if path in OPEN_PATHS else {"421"}
            assert statuses <= set(operation["responses"]), (method, path)
            for status in statuses:
                content = operation["responses"][status]["content"]
                assert "application/problem+json" in content, (method, path, status)
