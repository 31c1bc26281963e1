"""What a client is to be connected to, and with which options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..engineio.client_options import ClientOptions
from ..engineio.options import Logger, make_logger
from ..errors import UsageError

__all__ = ["Target", "engine_options", "value_of", "words_of"]


@dataclass(slots=True)
class Target:
    """What the application has asked to be connected to.

    Attributes:
        url: The address, or a function that returns it.
        headers: Headers of all requests, or a function that returns them.
        auth: What the client says about itself, or a function that returns it.
        transports: The transports; ``None`` for those of the options.
        path: Path of the server.
        wait: Whether ``connect`` waits for the namespaces.
        wait_timeout: Seconds that they have to be connected.
        namespaces: The namespaces.
        handlers: Whether ``connect`` waits for handlers; a handler that connects must not.
    """

    url: Any = None
    headers: Any = None
    auth: Any = None
    transports: Any = None
    path: str = "socket.io"
    wait: bool = True
    wait_timeout: float = 1.0
    namespaces: list[str] = field(default_factory=list)
    handlers: bool = True


async def value_of(value: Any) -> Any:
    """Return what an argument is, or what it returns when it is a function or coroutine function.

    Args:
        value: The argument.
    """
    if not callable(value):
        return value
    result = value()
    return await result if inspect.isawaitable(result) else result


def words_of(refusal: Any) -> str:
    """Return what the server has said, for people.

    Args:
        refusal: The payload of its CONNECT_ERROR.

    Example:
        >>> words_of({"message": "not you"})
        'not you'
    """
    if isinstance(refusal, dict) and isinstance(refusal.get("message"), str):
        return str(refusal["message"])
    return str(refusal)


def engine_options(
    kwargs: dict[str, Any],
    logger: bool | Logger | None,
    translate: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]],
) -> ClientOptions:
    """Make the options of Engine.IO.

    Args:
        kwargs: What the client was given.
        logger: Where Engine.IO logs.
        translate: Makes options of ``websocket_extra_options``.

    Raises:
        UsageError: There is no such option.
    """
    unknown = [name for name in kwargs if name not in ClientOptions.__dataclass_fields__]
    if unknown:
        raise UsageError(
            f"{unknown[0]!r} is no option of a client; there are those of AsyncClient, ClientLimits"
            f" and ClientOptions"
        )
    if logger is not None:
        kwargs["logger"] = make_logger(logger)
    extra = kwargs.pop("websocket_extra_options", None) or {}
    return ClientOptions(**{**kwargs, **translate(extra, kwargs)})
