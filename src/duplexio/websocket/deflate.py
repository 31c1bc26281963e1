"""The permessage-deflate extension (RFC 7692): negotiating it in the opening handshake.

What it does to the messages then is in ``deflate_codec``; :class:`PerMessageDeflate` is imported
from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from .deflate_codec import (
    COMPRESSORS,
    DEFAULT_THRESHOLD,
    DEFAULT_WINDOW_BITS,
    MAX_FINAL_BLOCKS,
    CompressionSettingError,
    CompressorCache,
    PerMessageDeflate,
    check_bits,
    checked_settings,
)
from .exceptions import (
    DuplicateParameter,
    InvalidParameterName,
    InvalidParameterValue,
    NegotiationError,
)

__all__ = [
    "COMPRESSORS",
    "DEFAULT_THRESHOLD",
    "DEFAULT_WINDOW_BITS",
    "MAX_FINAL_BLOCKS",
    "ClientPerMessageDeflateFactory",
    "CompressionSettingError",
    "CompressorCache",
    "PerMessageDeflate",
    "ServerPerMessageDeflateFactory",
    "client_extensions",
    "server_extensions",
]

#: Name and value of a parameter in the header; ``None`` when it has no value.
ExtensionParameter = tuple[str, str | None]

_WINDOW_BITS = {str(bits): bits for bits in range(8, 16)}


class _Parameters:
    """The parameters of an offer or of a response, or those that a factory asks for.

    ``client_max_window_bits`` is ``True`` when it has no value, which only an offer may do.
    """

    def __init__(
        self,
        server_no_context_takeover: bool,
        client_no_context_takeover: bool,
        server_max_window_bits: int | None,
        client_max_window_bits: int | Literal[True] | None,
    ) -> None:
        self.server_no_context_takeover = server_no_context_takeover
        self.client_no_context_takeover = client_no_context_takeover
        self.server_max_window_bits = server_max_window_bits
        self.client_max_window_bits = client_max_window_bits

    @classmethod
    def parse(cls, params: Sequence[ExtensionParameter], *, offer: bool) -> _Parameters:
        """Read the parameters of the header, and refuse what §7.1 does not allow."""
        found: dict[str, int | Literal[True]] = {}
        for name, value in params:
            if name in found:
                raise DuplicateParameter(name)
            if name in ("server_no_context_takeover", "client_no_context_takeover"):
                if value is not None:
                    raise InvalidParameterValue(name, value)
                found[name] = True
            elif name in ("server_max_window_bits", "client_max_window_bits"):
                if value is None and offer and name == "client_max_window_bits":
                    found[name] = True
                # §7.1.2: a decimal number without leading zeros.
                elif value in _WINDOW_BITS:
                    found[name] = _WINDOW_BITS[value]
                else:
                    raise InvalidParameterValue(name, value)
            else:
                raise InvalidParameterName(name)
        return cls(
            "server_no_context_takeover" in found,
            "client_no_context_takeover" in found,
            found.get("server_max_window_bits"),
            found.get("client_max_window_bits"),
        )

    def build(self) -> list[ExtensionParameter]:
        """Return the parameters as they are written in the header."""
        params: list[ExtensionParameter] = []
        if self.server_no_context_takeover:
            params.append(("server_no_context_takeover", None))
        if self.client_no_context_takeover:
            params.append(("client_no_context_takeover", None))
        if self.server_max_window_bits is not None:
            params.append(("server_max_window_bits", str(self.server_max_window_bits)))
        if self.client_max_window_bits is True:
            params.append(("client_max_window_bits", None))
        elif self.client_max_window_bits is not None:
            params.append(("client_max_window_bits", str(self.client_max_window_bits)))
        return params


class ClientPerMessageDeflateFactory:
    """Offers permessage-deflate to a server, and takes its answer (RFC 7692 §7.1).

    Args:
        server_no_context_takeover: The server has to begin each message with an empty window.
        client_no_context_takeover: This client will.
        server_max_window_bits: Largest window that the server may use, as an exponent of two, 8
            to 15.
        client_max_window_bits: Largest window that this client will use, 8 to 15; ``True`` leaves
            it to the server, ``None`` does not let the server set one.
        compress_settings: As for :class:`PerMessageDeflate`.
        threshold: Messages with fewer bytes are sent as they are.

    Raises:
        CompressionSettingError: When a value is out of range.

    Example:
        >>> ClientPerMessageDeflateFactory(server_max_window_bits=10).get_request_params()
        [('server_max_window_bits', '10'), ('client_max_window_bits', None)]
    """

    name = "permessage-deflate"

    def __init__(
        self,
        server_no_context_takeover: bool = False,
        client_no_context_takeover: bool = False,
        server_max_window_bits: int | None = None,
        client_max_window_bits: int | Literal[True] | None = True,
        compress_settings: Mapping[str, Any] | None = None,
        *,
        threshold: int = DEFAULT_THRESHOLD,
    ) -> None:
        if server_max_window_bits is not None:
            check_bits("server_max_window_bits", server_max_window_bits)
        if client_max_window_bits is not None and client_max_window_bits is not True:
            check_bits("client_max_window_bits", client_max_window_bits)
        self.server_no_context_takeover = server_no_context_takeover
        self.client_no_context_takeover = client_no_context_takeover
        self.server_max_window_bits = server_max_window_bits
        self.client_max_window_bits = client_max_window_bits
        self.compress_settings = checked_settings(compress_settings)
        self.threshold = threshold

    def get_request_params(self) -> list[ExtensionParameter]:
        """Return the parameters to offer."""
        return _Parameters(
            self.server_no_context_takeover,
            self.client_no_context_takeover,
            self.server_max_window_bits,
            self.client_max_window_bits,
        ).build()

    def process_response_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Any]
    ) -> PerMessageDeflate:
        """Take the parameters that the server has chosen (RFC 7692 §7.1.1 and §7.1.2).

        Args:
            params: Names and values, as in the response's header.
            accepted_extensions: The extensions accepted before this one.

        Returns:
            The extension, to be used on the connection.

        Raises:
            NegotiationError: When the answer does not fit the offer; fail the handshake then.
        """
        _refuse_second(self.name, accepted_extensions)
        chosen = _Parameters.parse(params, offer=False)
        if self.server_no_context_takeover and not chosen.server_no_context_takeover:
            raise NegotiationError("the server did not accept server_no_context_takeover")
        # Without an answer the client still may do what it offered.
        server_bits = chosen.server_max_window_bits
        if self.server_max_window_bits is not None and not (
            server_bits is not None and server_bits <= self.server_max_window_bits
        ):
            raise NegotiationError(
                f"the server answered server_max_window_bits={server_bits}; "
                f"{self.server_max_window_bits} was offered"
            )
        client_bits = chosen.client_max_window_bits
        offered = self.client_max_window_bits
        if client_bits is not None:
            if offered is None:
                raise NegotiationError("the server set client_max_window_bits without an offer")
            if offered is not True and client_bits > offered:
                raise NegotiationError(
                    f"the server answered client_max_window_bits={client_bits}; "
                    f"{offered} was offered"
                )
        elif offered is not True:
            client_bits = offered
        return PerMessageDeflate(
            chosen.server_no_context_takeover,
            self.client_no_context_takeover or chosen.client_no_context_takeover,
            server_bits or 15,
            client_bits or DEFAULT_WINDOW_BITS,
            self.compress_settings,
            threshold=self.threshold,
        )


class ServerPerMessageDeflateFactory:
    """Accepts permessage-deflate from a client (RFC 7692 §7.1).

    Args:
        server_no_context_takeover: This server begins each message with an empty window.
        client_no_context_takeover: The client has to.
        server_max_window_bits: Largest window that this server will use, as an exponent of two, 8
            to 15.
        client_max_window_bits: Largest window that the client may use, 8 to 15, when it says that
            it can be told so.
        compress_settings: As for :class:`PerMessageDeflate`.
        require_client_max_window_bits: Refuse the extension to clients that cannot be told.
        threshold: Messages with fewer bytes are sent as they are.

    Raises:
        CompressionSettingError: When a value is out of range.

    Example:
        >>> factory = ServerPerMessageDeflateFactory(server_max_window_bits=12)
        >>> response, deflate = factory.process_request_params([], [])
        >>> response
        [('server_max_window_bits', '12')]
    """

    name = "permessage-deflate"

    def __init__(
        self,
        server_no_context_takeover: bool = False,
        client_no_context_takeover: bool = False,
        server_max_window_bits: int | None = None,
        client_max_window_bits: int | None = None,
        compress_settings: Mapping[str, Any] | None = None,
        require_client_max_window_bits: bool = False,
        *,
        threshold: int = DEFAULT_THRESHOLD,
    ) -> None:
        if server_max_window_bits is not None:
            check_bits("server_max_window_bits", server_max_window_bits)
        if client_max_window_bits is not None:
            check_bits("client_max_window_bits", client_max_window_bits)
        elif require_client_max_window_bits:
            raise CompressionSettingError(
                "require_client_max_window_bits is set without client_max_window_bits"
            )
        self.server_no_context_takeover = server_no_context_takeover
        self.client_no_context_takeover = client_no_context_takeover
        self.server_max_window_bits = server_max_window_bits
        self.client_max_window_bits = client_max_window_bits
        self.compress_settings = checked_settings(compress_settings)
        self.require_client_max_window_bits = require_client_max_window_bits
        self.threshold = threshold

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Any]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        """Choose the parameters, given those that the client offers (RFC 7692 §7.1.1, §7.1.2).

        Args:
            params: Names and values, as in the request's header.
            accepted_extensions: The extensions accepted before this one.

        Returns:
            The parameters of the response, and the extension to be used on the connection.

        Raises:
            NegotiationError: When the offer is not acceptable; try the client's next offer.
        """
        _refuse_second(self.name, accepted_extensions)
        offer = _Parameters.parse(params, offer=True)
        client_bits = offer.client_max_window_bits
        if client_bits is None and self.require_client_max_window_bits:
            raise NegotiationError("the client does not offer client_max_window_bits")
        # What the client did not offer may not be answered (§7.1.2.2); it is a limit otherwise.
        if client_bits is not None:
            client_bits = _least(
                None if client_bits is True else client_bits, self.client_max_window_bits
            )
        chosen = _Parameters(
            self.server_no_context_takeover or offer.server_no_context_takeover,
            self.client_no_context_takeover or offer.client_no_context_takeover,
            _least(offer.server_max_window_bits, self.server_max_window_bits),
            client_bits,
        )
        deflate = PerMessageDeflate(
            chosen.client_no_context_takeover,
            chosen.server_no_context_takeover,
            client_bits or 15,
            chosen.server_max_window_bits or DEFAULT_WINDOW_BITS,
            self.compress_settings,
            threshold=self.threshold,
        )
        return chosen.build(), deflate


def _least(*limits: int | None) -> int | None:
    """Return the least of the limits that there are."""
    return min((limit for limit in limits if limit is not None), default=None)


def _refuse_second(name: str, accepted_extensions: Sequence[Any]) -> None:
    if any(other.name == name for other in accepted_extensions):
        raise NegotiationError(f"{name} was accepted already; it is used once at most")


def client_extensions(
    compression: str | None, extensions: Sequence[Any] | None = None
) -> list[Any]:
    """Turn the ``compression`` argument of a client into factories of extensions.

    Args:
        compression: ``"deflate"`` to offer permessage-deflate with default settings, ``None`` to
            offer none.
        extensions: Factories given by the user; one for permessage-deflate is used as it is.

    Returns:
        The factories.

    Raises:
        CompressionSettingError: When ``compression`` is something else.
    """
    return _extensions(compression, extensions, ClientPerMessageDeflateFactory)


def server_extensions(
    compression: str | None, extensions: Sequence[Any] | None = None
) -> list[Any]:
    """Turn the ``compression`` argument of a server into factories of extensions.

    Args:
        compression: ``"deflate"`` to accept permessage-deflate, with windows of 8 KiB both ways,
            ``None`` to refuse it.
        extensions: Factories given by the user; one for permessage-deflate is used as it is.

    Returns:
        The factories.

    Raises:
        CompressionSettingError: When ``compression`` is something else.
    """
    return _extensions(
        compression,
        extensions,
        lambda: ServerPerMessageDeflateFactory(
            server_max_window_bits=DEFAULT_WINDOW_BITS, client_max_window_bits=DEFAULT_WINDOW_BITS
        ),
    )


def _extensions(
    compression: str | None, extensions: Sequence[Any] | None, default: Callable[[], Any]
) -> list[Any]:
    factories = list(extensions or ())
    for factory in factories:
        if factory.name != PerMessageDeflate.name:
            raise CompressionSettingError(
                f"extensions has a factory of {factory.name!r}; only {PerMessageDeflate.name} is"
                " supported"
            )
    if compression is None:
        return factories
    if compression != "deflate":
        raise CompressionSettingError(f"compression is {compression!r}; expected 'deflate' or None")
    if not any(factory.name == PerMessageDeflate.name for factory in factories):
        factories.append(default())
    return factories
