"""The settings of the front door that uvicorn has no flag for.

uvicorn makes the front door itself, in each of its worker processes, and gives it nothing but its
own configuration. So these settings come from environment variables, which worker processes inherit
(`duplexio serve` sets them from its flags), or from a subclass of the protocol class.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, fields

from ..errors import UsageError

__all__ = ["Settings", "variable_of"]

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("", "0", "false", "no", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the front door.

    The environment variable of each is its name in capitals behind ``DUPLEXIO_``:
    ``DUPLEXIO_LEGACY=1``.

    Attributes:
        legacy: Whether the drafts hixie-75 and hixie-76 are spoken, for which see
            ``duplexio.websocket.serve``.
        head_timeout: Seconds that the head of a request may take from its first byte on, and the
            first byte of a connection from its beginning on; 0 for ever.
        max_head_size: Largest head of a request, in bytes.
        close_timeout: Seconds that the closing handshake of a WebSocket may take, and after which
            a connection is given up whose client has stopped reading an answer of long polling.
        handoff_max_unknown: Requests of one address that may be passed on to other workers for
            sessions that those do not know, within ``handoff_window``; with more of them, nothing
            of that address is passed on for ``handoff_pause``.
        handoff_window: Seconds in which they are counted.
        handoff_pause: Seconds for which nothing is passed on then.
        handoff_max_queued: Bytes that may wait for one other worker to take them.

    Example:
        >>> Settings.from_environ({"DUPLEXIO_LEGACY": "1"}).legacy
        True
    """

    legacy: bool = False
    head_timeout: float = 30.0
    max_head_size: int = 65_536
    close_timeout: float = 10.0
    handoff_max_unknown: int = 50
    handoff_window: float = 10.0
    handoff_pause: float = 30.0
    handoff_max_queued: int = 4_194_304

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from environment variables.

        Args:
            environ: The variables; those of the process by default.

        Raises:
            UsageError: When a value is not what it should be.
        """
        if environ is None:
            environ = os.environ
        values: dict[str, bool | int | float] = {}
        for field in fields(cls):
            variable = variable_of(field.name)
            text = environ.get(variable)
            if text is not None:
                values[field.name] = _parse(variable, text.strip().lower(), type(field.default))
        return cls(**values)  # type: ignore[arg-type]  # _parse gives each its type

    def to_environ(self, environ: MutableMapping[str, str] | None = None) -> None:
        """Write the settings to environment variables, for worker processes to read.

        Args:
            environ: The variables; those of the process by default.
        """
        if environ is None:
            environ = os.environ
        for field in fields(self):
            value = getattr(self, field.name)
            environ[variable_of(field.name)] = str(int(value) if isinstance(value, bool) else value)


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return "DUPLEXIO_" + name.upper()


def _parse(variable: str, text: str, kind: type) -> bool | int | float:
    if kind is bool:
        if text not in (*_TRUE, *_FALSE):
            raise UsageError(f"{variable} is {text!r}; expected 1 (on) or 0 (off)")
        return text in _TRUE
    try:
        value: int | float = int(text) if kind is int else float(text)
    except ValueError:
        value = -1
    if not value >= 0:  # nan is not
        raise UsageError(f"{variable} is {text!r}; expected a number, 0 or more")
    return value
