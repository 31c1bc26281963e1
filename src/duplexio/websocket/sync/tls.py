"""TLS with websocket-client's options."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from .exceptions import WebSocketArgumentException

__all__ = ["CA_BUNDLE", "wrap_tls"]

#: Environment variable that names a file or a folder of certificates to trust.
CA_BUNDLE = "WEBSOCKET_CLIENT_CA_BUNDLE"


def wrap_tls(sock: socket.socket, host: str, sslopt: Mapping[str, Any]) -> ssl.SSLSocket:
    """Put TLS on a connected socket.

    Args:
        sock: The socket; closed when this fails.
        host: Name of the server, for SNI and for its certificate.
        sslopt: Options. ``context`` is used as it is; the others are for making one:
            ``ssl_version``, ``cert_reqs`` (``ssl.CERT_REQUIRED`` unless given),
            ``check_hostname``, ``ca_certs``, ``ca_cert_path``, ``certfile``, ``keyfile``,
            ``password``, ``cert_chain`` (all three as a tuple), ``ciphers``, ``ecdh_curve``. For
            both: ``server_hostname``, ``do_handshake_on_connect``, ``suppress_ragged_eofs``.

    Returns:
        The TLS socket.

    Raises:
        WebSocketArgumentException: An option has no meaning, or its file cannot be used.
        ssl.SSLError: The handshake failed; :exc:`ssl.SSLCertVerificationError` when the
            certificate is not trusted.
    """
    context = sslopt.get("context") or _make_context(sslopt)
    return context.wrap_socket(
        sock,
        do_handshake_on_connect=sslopt.get("do_handshake_on_connect", True),
        suppress_ragged_eofs=sslopt.get("suppress_ragged_eofs", True),
        server_hostname=sslopt.get("server_hostname") or host,
    )


def _make_context(sslopt: Mapping[str, Any]) -> ssl.SSLContext:
    context = ssl.SSLContext(sslopt.get("ssl_version", ssl.PROTOCOL_TLS_CLIENT))
    if keylog := os.environ.get("SSLKEYLOGFILE"):
        context.keylog_filename = keylog
    verify = sslopt.get("cert_reqs", ssl.CERT_REQUIRED)
    check_hostname = sslopt.get("check_hostname", verify != ssl.CERT_NONE)
    if check_hostname and verify == ssl.CERT_NONE:
        raise WebSocketArgumentException(
            "SSL certificate verification configuration failed: check_hostname cannot be enabled "
            "when cert_reqs is CERT_NONE"
        )
    # This order, as a context refuses not to verify while it is to check the name.
    context.check_hostname = False
    context.verify_mode = verify
    context.check_hostname = check_hostname
    if verify != ssl.CERT_NONE:
        _trust(context, sslopt)
    try:
        if sslopt.get("certfile"):
            context.load_cert_chain(
                sslopt["certfile"], sslopt.get("keyfile"), sslopt.get("password")
            )
        if chain := sslopt.get("cert_chain"):
            if not isinstance(chain, tuple | list) or len(chain) != 3:
                raise ValueError("cert_chain must be a tuple/list of (certfile, keyfile, password)")
            context.load_cert_chain(*chain)
        if "ciphers" in sslopt:
            context.set_ciphers(sslopt["ciphers"])
        if "ecdh_curve" in sslopt:
            context.set_ecdh_curve(sslopt["ecdh_curve"])
    except OSError as exc:  # ssl.SSLError is one
        raise WebSocketArgumentException(f"an option of TLS cannot be used: {exc}") from exc
    return context


def _trust(context: ssl.SSLContext, sslopt: Mapping[str, Any]) -> None:
    """Load the certificates that are trusted: those of the options, else the system's."""
    cafile, capath = sslopt.get("ca_certs"), sslopt.get("ca_cert_path")
    bundle = os.environ.get(CA_BUNDLE)
    if bundle and os.path.isfile(bundle):
        cafile = cafile or bundle
    elif bundle and os.path.isdir(bundle):
        capath = capath or bundle
    if not cafile and not capath:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return
    try:
        context.load_verify_locations(cafile=cafile, capath=capath)
    except (OSError, ValueError) as exc:
        raise WebSocketArgumentException(f"SSL CA certificate loading failed: {exc}") from exc
