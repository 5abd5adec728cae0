"""The Celery message that rings for one item of work: prebuilt, so that a script can push it.

It carries an id and nothing else. A contract test compares it with Celery's own message.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache


@cache
def template(task: str, queue: str) -> str:
    """Return the message text for a task, with `@@ID@@` and `@@TAG@@` left for the script.

    Source: Celery's message protocol, version 2, and kombu's Redis transport.
    """
    body = json.dumps(
        [["@@ID@@"], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    )
    return json.dumps(
        {
            "body": body,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {
                "lang": "py",
                "task": task,
                "id": "@@TAG@@",
                "shadow": None,
                "eta": None,
                "expires": None,
                "group": None,
                "group_index": None,
                "retries": 0,
                "timelimit": [None, None],
                "root_id": "@@TAG@@",
                "parent_id": None,
                "argsrepr": "('@@ID@@',)",
                "kwargsrepr": "{}",
                "origin": "billing",
                "ignore_result": True,
                "replaced_task_nesting": 0,
                "stamped_headers": None,
                "stamps": {},
            },
            "properties": {
                "correlation_id": "@@TAG@@",
                "reply_to": None,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": 0,
                "delivery_tag": "@@TAG@@",
            },
        }
    )


@dataclass(frozen=True)
class Bell:
    """A doorbell as it was read from a queue; Celery calls its tag the task's id."""

    item_id: str
    tag: str


def read_bell(message: str, template_: str) -> Bell | None:
    """Read a message that a script made from this template; None for any other."""
    match = _form(template_).fullmatch(message)
    return Bell(match["id"], match["tag"]) if match else None


@cache
def _form(template_: str) -> re.Pattern[str]:
    form = re.escape(template_)
    for mark, name, characters in (("@@ID@@", "id", r"\w"), ("@@TAG@@", "tag", r"[\w:]")):
        form = form.replace(mark, f"(?P<{name}>{characters}+)", 1).replace(mark, f"(?P={name})")
    return re.compile(form, re.ASCII)
