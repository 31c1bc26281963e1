"""TLS of the commands that connect."""

from __future__ import annotations

import ssl

__all__ = ["unchecked_tls"]


def unchecked_tls() -> ssl.SSLContext:
    """Return a TLS context that trusts every certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
