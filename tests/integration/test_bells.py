"""A thread serves doorbells behind its own, but not so many that other queues wait."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shared.store.refusals import unanswered
from shared.store.scripts import Store
from shared.work.doorbell import read_bell
from shared.work.items import Recording, Work
from shared.work.kinds import EVENTS, NOTIFICATIONS
from worker import bells as bells_module
from worker.bells import MOST, Bells, GivenUp
from worker.task_events import TaskEvents


class Scene:
    """A queue with doorbells, what serves it, the items it acted on and the events for Flower."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.queue = store.keys.queue(EVENTS)
        self.acted: list[str] = []
        self.task_events: list[tuple[str, dict[str, Any]]] = []
        self.fate: dict[str, str] = {}
        dispatcher = SimpleNamespace(
            enabled=True, send=lambda type_, **fields: self.task_events.append((type_, fields))
        )
        task_events = TaskEvents()
        task_events._remember(SimpleNamespace(event_dispatcher=dispatcher))
        self.bells = Bells(store, task_events, self._act)

    def _act(self, queue: str, item_id: str) -> str | None:
        assert queue == EVENTS.name
        self.acted.append(item_id)
        return self.fate.get(item_id)

    def ring(self, count: int) -> list[str]:
        """Record this many events; their doorbells are in the queue, the first at the right end."""
        work, names = Work(self.store, EVENTS), [f"evt_{number:03}" for number in range(count)]
        for name in names:
            assert work.record(Recording(name, "received", {"type": "x"}, 1000)) == "recorded"
        return names

    def waiting(self) -> list[str]:
        """Return the messages in the queue, the next one first."""
        return list(reversed(self.store.redis.lrange(self.queue, 0, -1)))


@pytest.fixture
def scene(real_store: Store) -> Scene:
    """Build a scene on a real server."""
    return Scene(real_store)


def test_bells_behind_the_first_are_served_in_order_up_to_a_limit(scene: Scene) -> None:
    names = scene.ring(MOST + 4)
    scene.bells.serve(EVENTS.name, "evt_first")
    assert scene.acted == ["evt_first", *names[: MOST - 1]]
    left = [read_bell(message, EVENTS.message) for message in scene.waiting()]
    assert [bell.item_id for bell in left if bell] == names[MOST - 1 :]


def test_an_empty_queue_ends_it(scene: Scene) -> None:
    scene.bells.serve(EVENTS.name, "evt_first")
    assert scene.acted == ["evt_first"]
    assert scene.task_events == [], "Celery tells of the first itself"


def test_nothing_more_is_taken_after_an_item_that_took_long(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = scene.ring(2)
    monkeypatch.setattr(bells_module, "LONGEST_SECONDS", 0.0)
    scene.bells.serve(EVENTS.name, "evt_first")
    assert scene.acted == ["evt_first"]
    assert len(scene.waiting()) == len(names)


@pytest.mark.parametrize(
    "other",
    [
        b"garbage",
        b'{"body": "x"}',
        NOTIFICATIONS.message.replace("@@ID@@", "ntf_1").encode(),
        b"\xff",
    ],
    ids=["no JSON", "no bell", "another queue's", "no text"],
)
def test_what_is_no_bell_of_the_queue_is_left_to_celery(scene: Scene, other: bytes) -> None:
    scene.ring(1)
    behind = scene.waiting()
    scene.store.redis.rpush(scene.queue, other)
    scene.bells.serve(EVENTS.name, "evt_first")
    assert scene.acted == ["evt_first"]
    assert scene.waiting() == [other.decode(errors="surrogateescape"), *behind], "in its old place"


def test_flower_hears_of_each_bell_as_of_a_task_of_celerys(scene: Scene) -> None:
    names = scene.ring(2)
    scene.fate[names[1]] = "no way"
    tags = [bell.tag for m in scene.waiting() if (bell := read_bell(m, EVENTS.message))]
    scene.bells.serve(EVENTS.name, "evt_first")
    start = ["task-received", "task-started"]
    assert [type_ for type_, _ in scene.task_events] == [
        *start,
        "task-succeeded",
        *start,
        "task-failed",
    ]
    assert [fields["uuid"] for _, fields in scene.task_events] == [tags[0]] * 3 + [tags[1]] * 3
    assert scene.task_events[0][1]["name"] == EVENTS.task
    assert scene.task_events[0][1]["args"] == f"('{names[0]}',)"
    assert scene.task_events[-1][1]["exception"] == "no way"


def test_an_item_that_was_given_up_fails_celerys_task(scene: Scene) -> None:
    scene.fate["evt_first"] = "no way"
    with pytest.raises(GivenUp, match="evt_first: no way"):
        scene.bells.serve(EVENTS.name, "evt_first")


def test_an_outage_of_redis_ends_it_quietly(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise unanswered()

    scene.ring(1)
    monkeypatch.setattr(scene.store, "pop", refuse)
    scene.bells.serve(EVENTS.name, "evt_first")
    assert scene.acted == ["evt_first"]
