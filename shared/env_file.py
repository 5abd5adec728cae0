"""The `.env` file: what it sets, and every line of it that says nothing."""

from __future__ import annotations

import io
import logging
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

ENV_FILE = ".env"
# Names another file; empty, none is read. `python app.py` has read it for all its processes.
ENV_FILE_VARIABLE = "BILLING_ENV_FILE"
# Its warnings of broken lines: `env_file_problems` tells of them, once and with the others.
logging.getLogger("dotenv").addHandler(logging.NullHandler())


def env_file_variables(path: str = ENV_FILE) -> dict[str, str]:
    """Give the variables of a `.env` file; empty when there is none, or it cannot be read."""
    text, _ = _text_of(path)
    values = dotenv_values(stream=io.StringIO(text))
    return {name: value for name, value in values.items() if value is not None}


def readable(path: str) -> str | None:
    """Give the path back if it can be read as text, or is not there."""
    _, problems = _text_of(path)
    return None if problems else path


def env_file_problems(path: str = ENV_FILE) -> list[str]:
    """List what is wrong with the file itself, a line each; no line is shown, it may be a secret.

    The lines of the list begin with the path, as those of a setting begin with its name.
    """
    text, problems = _text_of(path)
    return problems + [
        f"{path} line {binding.original.line} cannot be read: {_fault(binding)}"
        for binding in parse_stream(io.StringIO(text))
        if _is_broken(binding)
    ]


def _text_of(path: str) -> tuple[str, list[str]]:
    try:
        return Path(path).read_text("utf-8-sig"), []
    except FileNotFoundError:
        return "", []
    except UnicodeDecodeError:
        return "", [f"{path} cannot be read: it is no text in UTF-8. Save it as UTF-8."]
    except OSError as error:
        return "", [f"{path} cannot be read ({(error.strerror or str(error)).lower()})"]


def _is_broken(binding: Binding) -> bool:
    has_name_alone = binding.key is not None and binding.value is None
    return binding.error or has_name_alone


def _fault(binding: Binding) -> str:
    if binding.error and binding.original.string.count("\n") > 1:
        return "a quotation mark that it opens is not closed there"
    return "a line is NAME=value, and quotation marks come in pairs"
