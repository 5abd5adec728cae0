"""The `.env` file: its variables, and the problems of its lines."""

from __future__ import annotations

import io
import logging
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

ENV_FILE = ".env"
# Names another file; when it is empty, no file is read. `python app.py` reads the file once and
# sets this for the processes that it starts.
ENV_FILE_VARIABLE = "BILLING_ENV_FILE"
# The library's warnings of broken lines; `env_file_problems` reports them once, with all others.
logging.getLogger("dotenv").addHandler(logging.NullHandler())


def env_file_variables(path: str = ENV_FILE) -> dict[str, str]:
    """Give the variables of a `.env` file; empty when there is none, or it cannot be read."""
    text, _ = _text_of(path)
    values = dotenv_values(stream=io.StringIO(text))
    return {name: value for name, value in values.items() if value is not None}


def readable(path: str) -> str | None:
    """Return the path if the file is readable text or does not exist; None otherwise."""
    _, problems = _text_of(path)
    return None if problems else path


def env_file_problems(path: str = ENV_FILE) -> list[str]:
    """List the problems of the file, one line each, without its text, which may be a secret.

    Each line begins with the path, as a problem of a setting begins with its name.
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
        return "a quotation mark is opened and not closed"
    return "a line is NAME=value, and quotation marks come in pairs"
