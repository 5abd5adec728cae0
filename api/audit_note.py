"""The audit note of a request: the operator's key, name and reason."""

from __future__ import annotations

from flask import g

from api.ops_models import Signed
from api.redrive import AuditNote


def audit_note(signed: Signed) -> AuditNote:
    """Build the note of this request's operator."""
    return AuditNote(key=g.caller, operator=g.operator, name=signed.by, reason=signed.reason)
