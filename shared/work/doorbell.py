"""The Celery message that rings for one item of work: prebuilt, so that a script can push it.

It carries an id and nothing else. A contract test holds it against what Celery itself sends.
"""

from __future__ import annotations

import json
from functools import cache


@cache
def template(task: str, queue: str) -> str:
    """Give the message text for a task, with `@@ID@@` and `@@TAG@@` left for the script.

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
