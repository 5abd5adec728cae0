"""All calls to Stripe, with deadlines, and with every error translated.

Answers are plain dicts in Stripe's own form. Calls that move money take an idempotency key from the
caller, derived from our own record, so that a repeated call has no second effect. No exception of
the SDK leaves this module: `shared/stripe/translation.py` translates each into one of ours.

The SDK encodes, sends and repeats the calls by its raw request: its typed calls make an object of
each map of an answer, which was a third of the CPU time of a payment and half of reconcile's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import stripe
from stripe import StripeResponse

from shared.card_numbers import clean_json
from shared.errors import CallerError, Inconsistent, Misconfigured
from shared.settings import Settings
from shared.stripe.http_client import BoundedClient
from shared.stripe.rate_limits import CallBudget, limited
from shared.stripe.translation import permission_missing, translate
from shared.telemetry.tracing import SpanKind, span

API_VERSION: str = stripe.api_version or ""
PAGE_LIMIT = 100
# How an endpoint that we made is named in Stripe's dashboard.
SERVICE = "billing-service"
# Most pages of a list: a million objects.
MOST_PAGES = 10_000
EVENT_DESTINATIONS = "/v2/core/event_destinations"

Observer = Callable[[str, str, float], None]


class StripeGateway:
    """Call Stripe; safe to share between threads.

    `max_network_retries` overrides the settings: an API request lets the SDK retry, a worker leaves
    retries to its own policy. `observe(operation, result, seconds)` is called after every call.
    With a `budget`, calls keep to Stripe's rate limits, and a `line` limits the calls at one time;
    every call may then raise `OverBudget`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        max_network_retries: int | None = None,
        observe: Observer | None = None,
        budget: CallBudget | None = None,
        line: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        retries = settings.stripe_max_network_retries
        bases = {"api": settings.stripe_api_base} if settings.stripe_api_base else None
        self._client = stripe.StripeClient(
            settings.stripe_secret_key.get_secret_value(),
            base_addresses=cast(Any, bases),
            max_network_retries=retries if max_network_retries is None else max_network_retries,
            http_client=BoundedClient(settings),
        )
        self._observe = observe
        self._budget = budget
        self._line = line

    def create_payment(
        self,
        *,
        params: dict[str, Any],
        return_url: str | None,
        idempotency_key: str,
        account: str | None = None,
    ) -> dict[str, Any]:
        """Create and confirm a payment intent in one call; `latest_charge` is expanded.

        `params` are Stripe's (`amount`, `currency`, `payment_method`, …). Without a `return_url`
        only methods that need no redirect are offered. Raises `PaymentDeclined` with
        `payment_intent_id`, `CallerError`, `Unavailable` (ask again with the same key) or
        `Misconfigured`.
        """
        body = dict(params, confirm=True, expand=["latest_charge"])
        if return_url:
            body |= {"return_url": return_url, "automatic_payment_methods": {"enabled": True}}
        else:
            body["automatic_payment_methods"] = {"enabled": True, "allow_redirects": "never"}
        return self._post(
            "payment_intents.create",
            "/v1/payment_intents",
            body,
            account=account,
            idempotency_key=idempotency_key,
        )

    def payment(
        self, payment_intent_id: str, account: str | None = None, *, with_fees: bool = False
    ) -> dict[str, Any]:
        """Retrieve a payment intent with its latest charge expanded.

        With fees the charge's balance transaction is expanded, too, if our key may read it.
        Raises `CallerError` (404 for an unknown id), `Unavailable` or `Misconfigured`.
        """
        if with_fees:
            intent: dict[str, Any] = self._expand_if_permitted(
                lambda expand: self._payment(payment_intent_id, account, expand),
                "latest_charge.balance_transaction",
            )
            return intent
        return self._payment(payment_intent_id, account, [])

    def _payment(
        self, payment_intent_id: str, account: str | None, expand: list[str]
    ) -> dict[str, Any]:
        path = _place("/v1/payment_intents", payment_intent_id)
        params = {"expand": ["latest_charge", *expand]}
        return self._get("payment_intents.retrieve", path, params, account=account)

    def _expand_if_permitted(self, call: Callable[[list[str]], Any], expand: str) -> Any:
        """Call with an expanded field, or without it when our key may not read it."""
        try:
            return call([expand])
        except (CallerError, Misconfigured) as error:
            if not permission_missing(error):
                raise
            return call([])

    def cancel_payment(
        self,
        payment_intent_id: str,
        *,
        reason: str | None,
        idempotency_key: str,
        account: str | None = None,
    ) -> dict[str, Any]:
        """Cancel a payment intent, so that nobody can pay it; errors as for `create_payment`.

        Raises `CallerError` (`payment_intent_unexpected_state`) for one that came to its end.
        """
        params: dict[str, Any] = {"expand": ["latest_charge"]}
        if reason:
            params["cancellation_reason"] = reason
        return self._post(
            "payment_intents.cancel",
            _place("/v1/payment_intents", payment_intent_id) + "/cancel",
            params,
            account=account,
            idempotency_key=idempotency_key,
        )

    def charge(self, charge_id: str, account: str | None = None) -> dict[str, Any]:
        """Retrieve a charge with its balance transaction expanded, if our key may read it.

        Raises as `payment`.
        """
        return cast(
            dict[str, Any],
            self._expand_if_permitted(
                lambda expand: self._charge(charge_id, account, expand), "balance_transaction"
            ),
        )

    def _charge(self, charge_id: str, account: str | None, expand: list[str]) -> dict[str, Any]:
        path = _place("/v1/charges", charge_id)
        return self._get("charges.retrieve", path, {"expand": expand}, account=account)

    def balance_transaction(self, booked: str, account: str | None = None) -> dict[str, Any]:
        """Retrieve a balance transaction: the net amount and fee of a payment, refund or dispute.

        Raises as `payment`.
        """
        path = _place("/v1/balance_transactions", booked)
        return self._get("balance_transactions.retrieve", path, account=account)

    def balance(self, account: str | None = None) -> dict[str, int] | None:
        """Read the available balance by currency; None where our key may not read it.

        Raises as `payment`.
        """
        try:
            balance = self._get("balance.retrieve", "/v1/balance", account=account)
        except (CallerError, Misconfigured) as error:
            if not permission_missing(error):
                raise
            return None
        return {part["currency"]: int(part["amount"]) for part in balance["available"]}

    def disputes_of(self, account: str | None = None, **owner: str) -> list[dict[str, Any]]:
        """List the disputes of `payment_intent=…` or `charge=…`, newest first.

        Raises as `payment`.
        """
        pages = self._pages("disputes.list", "/v1/disputes", account, owner)
        return [dispute for page in pages for dispute in page]

    def create_refund(
        self, *, params: dict[str, Any], idempotency_key: str, account: str | None = None
    ) -> dict[str, Any]:
        """Refund a payment, whole or in part. Raises as `payment`."""
        return self._post(
            "refunds.create",
            "/v1/refunds",
            params,
            account=account,
            idempotency_key=idempotency_key,
        )

    def refund(self, refund_id: str, account: str | None = None) -> dict[str, Any]:
        """Retrieve a refund with its balance transaction expanded, if our key may read it.

        Raises as `payment`.
        """
        refund: dict[str, Any] = self._expand_if_permitted(
            lambda expand: self._refund(refund_id, account, expand), "balance_transaction"
        )
        return refund

    def _refund(self, refund_id: str, account: str | None, expand: list[str]) -> dict[str, Any]:
        path = _place("/v1/refunds", refund_id)
        return self._get("refunds.retrieve", path, {"expand": expand}, account=account)

    def refunds_of(self, account: str | None = None, **owner: str) -> list[dict[str, Any]]:
        """List all refunds of `payment_intent=…` or `charge=…`, newest first.

        Their balance transactions are expanded, if our key may read them. Raises as `payment`.
        """
        return cast(
            list[dict[str, Any]],
            self._expand_if_permitted(
                lambda expand: self._refunds_of(account, owner, expand), "data.balance_transaction"
            ),
        )

    def _refunds_of(
        self, account: str | None, owner: dict[str, str], expand: list[str]
    ) -> list[dict[str, Any]]:
        filters = {**owner, "expand": expand}
        pages = self._pages("refunds.list", "/v1/refunds", account, filters)
        return [refund for page in pages for refund in page]

    def event(self, stripe_event_id: str, account: str | None = None) -> dict[str, Any]:
        """Retrieve an event, snapshot or thin; Stripe keeps them for 30 days.

        Raises as `payment`.
        """
        try:
            path = _place("/v1/events", stripe_event_id)
            return self._get("events.retrieve", path, account=account)
        except CallerError as unknown:
            if unknown.status != HTTPStatus.NOT_FOUND:
                raise
            try:  # a thin event has an id of the same form, and another place
                path = _place("/v2/core/events", stripe_event_id)
                return self._get("events.retrieve_thin", path, account=account)
            except CallerError:
                raise unknown from None

    def events(self, account: str | None = None, **filters: Any) -> Iterator[list[dict[str, Any]]]:
        """Page through events, newest first; filters are Stripe's (`created`, `type`, `types`).

        Raises as `payment`.
        """
        return self._pages("events.list", "/v1/events", account, filters)

    def _pages(
        self, operation: str, path: str, account: str | None, filters: Mapping[str, Any]
    ) -> Iterator[list[dict[str, Any]]]:
        """Page through a list of Stripe's, newest first, at most `MOST_PAGES` of it."""
        params = {**filters, "limit": PAGE_LIMIT}
        for _ in range(MOST_PAGES):
            page: Any = self._ask(operation, "get", path, params, account).data
            yield clean_json(page["data"])
            if not page["has_more"] or not page["data"]:
                return
            params["starting_after"] = page["data"][-1]["id"]

    def related_object(self, url: str, account: str | None = None) -> dict[str, Any]:
        """Fetch the object that a thin event names. Raises `Inconsistent` for any other path."""
        if not url.startswith("/v1/"):
            raise Inconsistent("A thin event points outside Stripe's v1 objects.")
        return self._get("related_object.retrieve", url, account=account)

    def account_id(self) -> str:
        """Name the account that our key belongs to. Raises as `payment`."""
        return str(self._get("accounts.retrieve", "/v1/account")["id"])

    def webhook_endpoints(self) -> list[dict[str, Any]]:
        """List the webhook endpoints of the account: what `doctor` checks. Raises as `payment`."""
        params = {"limit": PAGE_LIMIT}
        page = self._get("webhook_endpoints.list", "/v1/webhook_endpoints", params)
        return cast(list[dict[str, Any]], page["data"])

    def create_webhook_endpoint(
        self, url: str, types: list[str], idempotency_key: str, *, connect: bool = False
    ) -> dict[str, Any]:
        """Register a webhook endpoint for these types, in our API version.

        With `connect` it gets the events of connected accounts instead of our own. The answer has
        its signing `secret`, which Stripe never shows again. Raises as `payment`.
        """
        params: Any = {"url": url, "enabled_events": types, "api_version": API_VERSION}
        params |= {"description": SERVICE, "connect": connect}
        return self._post(
            "webhook_endpoints.create",
            "/v1/webhook_endpoints",
            params,
            idempotency_key=idempotency_key,
        )

    def update_webhook_endpoint(self, endpoint_id: str, **changes: Any) -> dict[str, Any]:
        """Change an endpoint's `url`, `enabled_events` or `disabled`. Raises as `payment`."""
        path = _place("/v1/webhook_endpoints", endpoint_id)
        return self._post("webhook_endpoints.update", path, changes)

    def create_event_destination(
        self, url: str, types: list[str], source: str, idempotency_key: str
    ) -> dict[str, Any]:
        """Register a destination of thin events (API v2) for the events of one source.

        The answer has its signing secret, which Stripe never shows again. Raises as `payment`.
        """
        params: Any = {
            "name": SERVICE,
            "type": "webhook_endpoint",
            "event_payload": "thin",
            "events_from": [source],
            "enabled_events": types,
            "webhook_endpoint": {"url": url},
            "include": ["webhook_endpoint.signing_secret"],
        }
        return self._post(
            "event_destinations.create",
            EVENT_DESTINATIONS,
            params,
            idempotency_key=idempotency_key,
        )

    def update_event_destination(self, destination_id: str, **changes: Any) -> dict[str, Any]:
        """Change a destination's `enabled_events` or `webhook_endpoint`. Raises as `payment`."""
        path = _place(EVENT_DESTINATIONS, destination_id)
        return self._post("event_destinations.update", path, changes)

    def enable_event_destination(self, destination_id: str) -> dict[str, Any]:
        """Have Stripe send events to a destination again. Raises as `payment`."""
        path = _place(EVENT_DESTINATIONS, destination_id) + "/enable"
        return self._post("event_destinations.enable", path, {})

    def try_call(self, method: str, path: str, **params: Any) -> None:
        """Make one call only for its outcome, by which the doctor checks a right of the key.

        Raises as `payment`.
        """
        self._ask("probe", method, path, params)

    def event_destinations(self) -> list[dict[str, Any]]:
        """List the event destinations of the account (API v2), with their URLs.

        An account has 16 at most. Raises as `payment`.
        """
        params = {"include": ["webhook_endpoint.url"], "limit": PAGE_LIMIT}
        page = self._get("event_destinations.list", EVENT_DESTINATIONS, params)
        return cast(list[dict[str, Any]], page["data"])

    def connected_accounts(self) -> Iterator[str]:
        """Name the accounts connected to ours (Stripe Connect), newest first.

        Raises as `payment`.
        """
        for page in self._pages("accounts.list", "/v1/accounts", None, {}):
            yield from (str(account["id"]) for account in page)

    def server_time(self) -> tuple[int, int]:
        """Read Stripe's clock and ours, as Unix seconds; costs one cheap call.

        Raises as `payment`.
        """
        from email.utils import parsedate_to_datetime

        started = time.time()
        response = self._ask("events.list", "get", "/v1/events", {"limit": 1})
        date = (response.headers or {}).get("date")
        theirs = parsedate_to_datetime(date).timestamp() if date else started
        return int(theirs), int(started)

    def _get(
        self,
        operation: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
    ) -> dict[str, Any]:
        """Read an object in Stripe's own form, without card numbers."""
        answer = self._ask(operation, "get", path, params or {}, account)
        return cast(dict[str, Any], clean_json(answer.data))

    def _post(
        self,
        operation: str,
        path: str,
        params: Mapping[str, Any],
        *,
        account: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Make a change, and return its object as `_get`."""
        options = {"idempotency_key": idempotency_key} if idempotency_key else {}
        answer = self._ask(operation, "post", path, {**params, **options}, account)
        return cast(dict[str, Any], clean_json(answer.data))

    def _ask(
        self,
        operation: str,
        method: str,
        path: str,
        params: Mapping[str, Any],
        account: str | None = None,
    ) -> StripeResponse:
        with self._line():
            if self._budget:
                self._budget.draw(account, operation)
            return self._ask_now(operation, method, path, params, account)

    def _ask_now(
        self,
        operation: str,
        method: str,
        path: str,
        params: Mapping[str, Any],
        account: str | None,
    ) -> StripeResponse:
        """Call the SDK; return its response, translate its errors, call the observer."""
        name = "stripe_context" if path.startswith("/v2/") else "stripe_account"
        options = {name: account} if account else {}
        started = time.perf_counter()
        result = "ok"
        try:
            with span(f"stripe {operation}", kind=SpanKind.CLIENT):
                answer: StripeResponse = self._client.raw_request(method, path, **params, **options)
                return answer
        except stripe.StripeError as error:
            translated = translate(error)
            self._slow_down(operation, error, account)
            if account and isinstance(translated, CallerError):
                translated.fields.setdefault("account", account)
            result = translated.code
            raise translated from error
        finally:
            if self._observe:
                self._observe(operation, result, time.perf_counter() - started)

    def _slow_down(self, operation: str, error: stripe.StripeError, account: str | None) -> None:
        buckets = limited(operation, error.http_status, error.code, error.headers)
        if buckets and self._budget:
            self._budget.lower(account, buckets)


def _place(collection: str, object_id: str) -> str:
    """Return the path of one object."""
    return f"{collection}/{quote(object_id, safe='')}"
