"""Sign webhook payloads with Stripe's scheme: `t=…,v1=…`, one `v1` for each valid secret."""

import hashlib
import hmac
from collections.abc import Iterable


def signature_header(payload: bytes, secrets: Iterable[str], timestamp: int) -> str:
    """Return the `Stripe-Signature` header for exactly these bytes."""
    signed = f"{timestamp}.".encode() + payload
    digests = [hmac.new(secret.encode(), signed, hashlib.sha256) for secret in secrets]
    return ",".join([f"t={timestamp}", *(f"v1={digest.hexdigest()}" for digest in digests)])
