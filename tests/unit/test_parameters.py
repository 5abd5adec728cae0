"""Headers and queries: their schemas, which the library asks for at each request, are kept."""

from __future__ import annotations

import inspect
from typing import get_type_hints

from pydantic import BaseModel

from api.app import create_app
from api.models import MoneyHeaders, Parameters
from tests.conftest import make_settings


def test_a_schema_is_built_once_and_is_that_of_its_own_model() -> None:
    models: list[type[Parameters]] = [MoneyHeaders, *Parameters.__subclasses__()]
    for model in models:
        own = BaseModel.model_json_schema.__func__(model)  # type: ignore[attr-defined]  # a class method has it
        assert model.model_json_schema() == own
        assert model.model_json_schema() is model.model_json_schema()
    document = MoneyHeaders.model_json_schema(mode="serialization")
    assert document is not MoneyHeaders.model_json_schema()


def test_every_route_with_headers_or_a_query_keeps_their_schemas() -> None:
    views = [inspect.unwrap(view) for view in create_app(make_settings()).view_functions.values()]
    models = {
        hints[name]
        for view in views
        if inspect.isfunction(view)
        for hints in (get_type_hints(view),)
        for name in ("header", "query")
        if name in hints
    }
    assert len(models) > 8
    assert [model for model in models if not issubclass(model, Parameters)] == []
