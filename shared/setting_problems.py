"""Describe problems of settings, and say what to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo

from shared.setting_types import FORMS


def in_words(error: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> str:
    """Describe a problem of a setting in one line, with the part that is wrong.

    `error` is one of pydantic's, `fields` are those of the settings by name.
    """
    name, *place = error["loc"]
    variable = str(name).upper()
    if error["type"] == "missing":
        return f"{variable} is not set: {fields[variable.lower()].description}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "string_pattern_mismatch":
        message = FORMS[error["ctx"]["pattern"]]
    if error["type"] == "extra_forbidden":
        message = "there is no limit of this name"
    names = ".".join(part for part in place if isinstance(part, str))
    return f"{variable} is not valid: {names}{': ' if names else ''}{message}"
