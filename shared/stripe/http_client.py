"""The SDK's HTTP client with deadlines for one try and for all tries of a call together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import stripe

from shared.deadline import deadline, remaining
from shared.http_transport import deadline_session
from shared.settings import CONNECT_TIMEOUT_SECONDS, Settings

# Connections: as many as one process has threads that call Stripe, by default.
CONNECTIONS = 64
# Seconds: with less than this left, another try would only be cut off.
LEAST_TRY_SECONDS = 1.0


class BoundedClient(stripe.RequestsClient):
    """Call Stripe within `stripe_timeout_seconds` a try and `stripe_total_seconds` a call.

    An earlier deadline of the current work counts too. A connection that was cut off is closed.
    """

    def __init__(self, settings: Settings) -> None:
        self._try_seconds = settings.stripe_timeout_seconds
        self._total_seconds = settings.stripe_total_seconds
        super().__init__(
            timeout=(CONNECT_TIMEOUT_SECONDS, self._try_seconds),
            session=deadline_session(CONNECTIONS),
        )

    def request_with_retries(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        post_data: Any = None,
        max_network_retries: int | None = None,
        **options: Any,
    ) -> Any:
        """Call with the SDK's own retries, all of them within the total."""
        with deadline(self._total_seconds):
            return super().request_with_retries(
                method, url, headers, post_data, max_network_retries, **options
            )

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        **options: Any,
    ) -> Any:
        """Make one try."""
        with deadline(self._try_seconds):
            return super().request(method, url, headers, post_data, **options)

    def _should_retry(
        self, response: Any, api_connection_error: Any, num_retries: int, max_network_retries: Any
    ) -> bool:
        """Retry when the SDK would, while there is time for the pause and another try."""
        sdk_would = super()._should_retry(
            response, api_connection_error, num_retries, max_network_retries
        )
        pause = min(self.INITIAL_DELAY * 2**num_retries, self.MAX_DELAY)
        left = remaining()
        return bool(sdk_would) and (left is None or left > pause + LEAST_TRY_SECONDS)
