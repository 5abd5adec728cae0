"""`python -m api.contract FILE`: write the contract the service serves, without serving it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pydantic import SecretStr

from api.app import create_app
from api.openapi import contract
from shared.settings import Settings


def text() -> str:
    """Render OpenAPI 3.1 as text; the same models always give the same text."""
    nowhere = Settings.model_construct(
        stripe_secret_key=SecretStr("sk_test_contract"), event_service_url="http://127.0.0.1"
    )
    document = contract(create_app(nowhere))
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), "utf-8")
