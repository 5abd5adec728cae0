"""Deliver events to webhook endpoints: signed, concurrent, tried again, never in the caller's way.

Publishing only writes delivery records; the sending happens in background tasks. A failed attempt
schedules the next one as a job in sandbox time, so that advancing the clock brings it forward.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from sandbox import events, ids, neighbourhood, signing, thin_events
from sandbox.delivery_modes import DeliveryModes
from sandbox.objects import Json
from sandbox.webhook_endpoints import listens_to, valid_secrets
from sandbox.world import Account, Scope, World, job

log = logging.getLogger(__name__)

RETRY_DELAYS_SECONDS: Final = (1.0, 5.0, 30.0, 120.0, 600.0, 3600.0, 10800.0)
"""Waits between attempts. Stripe's begin at minutes; ours at a second, so that a service which
answered 503 sees the event again while its developer is still looking."""
TIMEOUT_SECONDS: Final = 20.0
"""How long an endpoint may take to answer."""
MAX_CONCURRENT: Final = 32
"""Attempts under way at once; more would only measure the local machine."""
KEPT_BODY_CHARACTERS: Final = 500
USER_AGENT: Final = "Stripe/1.0 (+https://stripe.com/docs/webhooks)"


@dataclass
class Sink:
    """Receive every published event beside the endpoints (a `stripe listen` session)."""

    secret: str
    put: Callable[[Json], None]
    thin: bool = False


class PostOffice:
    """Hold the deliveries and send them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.deliveries: dict[str, Json] = {}
        self.modes = DeliveryModes()
        self.sinks: list[Sink] = []
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(MAX_CONCURRENT)

    def publish(self, account: Account, event: Json) -> None:
        """Hand a fresh event to every endpoint that wants it and to the listening sessions."""
        receivers = [
            (owner, endpoint)
            for owner in self._world.accounts.values()
            for endpoint in owner.table("webhook_endpoint").values()
            if listens_to(owner, endpoint, account, event["type"])
        ]
        event["pending_webhooks"] = len(receivers)
        for owner, endpoint in receivers:
            self._post(owner, endpoint, account, event)
        self.publish_to_sinks(event)

    def publish_to_sinks(self, event: Json) -> None:
        """Hand an event to the listening sessions only."""
        for sink in self.sinks:
            sink.put(thin_events.notification(event) if sink.thin else event)

    def send_again(self, account: Account, event: Json, endpoint_id: str | None) -> None:
        """Deliver an event once more, to one endpoint or to all that listen."""
        for endpoint in account.table("webhook_endpoint").values():
            named = endpoint["id"] == endpoint_id
            wanted = endpoint_id is None and listens_to(account, endpoint, account, event["type"])
            if named or wanted:
                record = self._record(account, endpoint, account, event)
                self._schedule(record, 0.0)

    def _post(self, owner: Account, endpoint: Json, account: Account, event: Json) -> None:
        delays = self.modes.delays_for(event["type"])
        if not delays:
            self._record(owner, endpoint, account, event)["state"] = "dropped"
        for delay in delays:
            self._schedule(self._record(owner, endpoint, account, event), delay)

    def _record(self, owner: Account, endpoint: Json, account: Account, event: Json) -> Json:
        rendered = (
            thin_events.notification(event)
            if owner.note(endpoint["id"]).get("thin")
            else events.in_version(event, endpoint["api_version"] or event["api_version"])
        )
        record: Json = {
            "id": ids.new_id("delivery"),
            "event": event["id"],
            "type": event["type"],
            "account": account.id,
            "endpoint": endpoint["id"],
            "endpoint_account": owner.id,
            "url": endpoint["url"],
            "payload": json.dumps(rendered, indent=2),
            "created": int(self._world.clock.now()),
            "state": "pending",
            "attempts": [],
            "next_attempt_at": None,
        }
        self.deliveries[record["id"]] = record
        return record

    def _schedule(self, record: Json, delay_seconds: float) -> None:
        record["next_attempt_at"] = self._world.clock.now() + delay_seconds
        scope = self._world.scope(record["endpoint_account"])
        scope.later(delay_seconds, "deliver", delivery=record["id"])

    def start(self, record: Json) -> None:
        """Begin an attempt in the background."""
        task = asyncio.get_running_loop().create_task(self._attempt(record))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attempt(self, record: Json) -> None:
        owner = self._world.account(record["endpoint_account"])
        endpoint = owner.find("webhook_endpoint", record["endpoint"])
        if endpoint is None or endpoint["status"] != "enabled":
            record["state"] = "abandoned"
            return
        record["next_attempt_at"] = None
        async with self._places:
            outcome = await self._send(record, valid_secrets(owner, endpoint, self._world.clock))
        record["attempts"].append(outcome)
        self._conclude(record, outcome)
        self._world.on_change()

    async def _send(self, record: Json, secrets: list[str]) -> Json:
        payload = record["payload"].encode()
        started, now = time.monotonic(), self._world.clock.now()
        outcome: Json = {"at": now, "status": None, "error": None, "body": None}
        if not neighbourhood.is_near(record["url"]):
            outcome["error"] = neighbourhood.REFUSAL
            return outcome
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": USER_AGENT,
            "Accept": "*/*; q=0.5, application/xml",
            "Cache-Control": "no-cache",
            # Real time: the receiver compares it with its own clock, which nobody advanced.
            "Stripe-Signature": signing.signature_header(payload, secrets, int(time.time())),
        }
        try:
            posting = self._http().post(
                record["url"], data=payload, headers=headers, allow_redirects=False
            )
            async with posting as answer:
                outcome["status"] = answer.status
                body = await answer.content.read(KEPT_BODY_CHARACTERS)
                outcome["body"] = body.decode(errors="replace")
        except (TimeoutError, aiohttp.ClientError) as problem:
            outcome["error"] = f"{type(problem).__name__}: {problem}"
        outcome["duration_ms"] = round((time.monotonic() - started) * 1000)
        return outcome

    def _conclude(self, record: Json, outcome: Json) -> None:
        attempts = len(record["attempts"])
        log.info(
            "webhook %s %s to %s: %s",
            record["type"],
            record["event"],
            record["url"],
            outcome["status"] or outcome["error"],
        )
        if outcome["status"] is not None and outcome["status"] // 100 == 2:  # noqa: PLR2004 any 2xx
            self._end(record, "delivered")
            self._acknowledge(record)
        elif outcome["error"] == neighbourhood.REFUSAL or attempts > len(RETRY_DELAYS_SECONDS):
            self._end(record, "failed")
        else:
            self._schedule(record, RETRY_DELAYS_SECONDS[attempts - 1])

    def _end(self, record: Json, state: str) -> None:
        """Close a delivery; its bytes would be most of the memory of a long run."""
        record["state"] = state
        record["payload"] = None

    def _acknowledge(self, record: Json) -> None:
        """Count the endpoint off the event, once however often it was delivered."""
        account = self._world.account(record["account"])
        event = account.find("event", record["event"])
        if event is None:
            return
        acknowledged = account.note(event["id"]).setdefault("acknowledged_by", [])
        if record["endpoint"] not in acknowledged:
            acknowledged.append(record["endpoint"])
            event["pending_webhooks"] = max(0, event["pending_webhooks"] - 1)

    def deliveries_of(self, event_id: str) -> list[Json]:
        """Return all deliveries of an event, oldest first."""
        return [record for record in self.deliveries.values() if record["event"] == event_id]

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
            connector = aiohttp.TCPConnector(limit=MAX_CONCURRENT)
            self._session = aiohttp.ClientSession(timeout=timeout, connector=connector)
        return self._session

    async def close(self) -> None:
        """End all attempts; what was under way is tried again after a restart."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def dump(self) -> list[Json]:
        """Return the deliveries as plain JSON."""
        return list(self.deliveries.values())

    def load(self, state: list[Json]) -> None:
        """Take over deliveries that `dump` returned; what was under way begins anew."""
        self.deliveries = {record["id"]: record for record in state}
        for record in state:
            if record["state"] == "pending" and record["next_attempt_at"] is None:
                self._schedule(record, 0.0)

    def forget_events(self, event_ids: set[str]) -> None:
        """Drop the deliveries of events that are no longer kept."""
        kept = self.deliveries.items()
        self.deliveries = {key: item for key, item in kept if item["event"] not in event_ids}

    def forget(self) -> None:
        """Drop all deliveries and modes."""
        self.deliveries.clear()
        self.modes = DeliveryModes()


@job("deliver")
def _deliver(scope: Scope, args: Json) -> None:
    office = scope.world.post_office
    record: Any = office.deliveries.get(args["delivery"])
    if record is not None and record["state"] == "pending":
        office.start(record)
