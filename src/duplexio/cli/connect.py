"""``duplexio connect``: talk to any WebSocket from the terminal."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import sys
from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

import click

from ..chat.folders import data_folder
from ..errors import UsageError
from ..websocket.client import connect
from ..websocket.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
)
from ..websocket.frames import CLOSE_CODE_EXPLANATIONS, OK_CLOSE_CODES, CloseCode
from ..websocket.http11 import Response
from .console import Console, LineConsole, TerminalConsole, printable
from .tls import unchecked_tls

__all__ = ["CLOSED", "UNREACHABLE", "Dialogue", "command"]

#: Exit statuses beside 0: the connection was closed with an error; there was no connection.
CLOSED = 1
UNREACHABLE = 3

_BODY_SHOWN = 2_000

_ADVICE: dict[int, str] = {
    CloseCode.POLICY_VIOLATION: "the server does not accept what was sent",
    CloseCode.MESSAGE_TOO_BIG: "a message was larger than the receiver allows",
    CloseCode.SERVICE_RESTART: "the server restarts, try again",
    CloseCode.TRY_AGAIN_LATER: "the server is overloaded",
}

_HELP = """\
What you type is sent as a text message. Lines that begin with a slash are commands:
  /ping [TEXT]          send a ping and show how long its pong takes
  /binary HEX           send a binary message, such as /binary 00 ff 7f
  /close [CODE [WHY]]   close the connection, and end
  /quit                 the same with code 1000; so do Ctrl+D and Ctrl+C
  /help                 this help
  //TEXT                send TEXT with one slash in front"""


class Dialogue:
    """A conversation over a connection.

    Args:
        ws: The connection.
        console: Where it is shown, and where the lines come from.
        wait: Seconds to wait for answers after the last line, when nobody types.
    """

    def __init__(self, ws: Any, console: Console, wait: float) -> None:
        self._ws = ws
        self._console = console
        self._wait = wait
        self._pings: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Talk until one side closes; return the exit status."""
        with self._console.screen():
            receiving = asyncio.ensure_future(self._receive())
            sending = asyncio.ensure_future(self._send())
            try:
                await asyncio.wait({receiving, sending}, return_when=asyncio.FIRST_COMPLETED)
                if not receiving.done():
                    if not self._console.interactive and self._wait:
                        await asyncio.wait({receiving}, timeout=self._wait)
                    await self._ws.close()
                await receiving
            finally:
                sending.cancel()
                await asyncio.gather(sending, *self._pings, return_exceptions=True)
            return self._closed()

    async def _receive(self) -> None:
        try:
            async for message in self._ws:
                self._console.message(message)
        except ConnectionClosed:
            pass

    async def _send(self) -> None:
        try:
            async for line in self._console.lines():
                if self._console.interactive and line.startswith("/"):
                    if line.startswith("//"):
                        await self._ws.send(line[1:])
                    elif await self._obey(line):
                        return
                elif line or not self._console.interactive:
                    await self._ws.send(line)
        except ConnectionClosed:
            pass

    async def _obey(self, line: str) -> bool:
        """Do what a command says; return whether that was the last."""
        name, _, rest = line.partition(" ")
        if name in ("/quit", "/q"):
            return True
        if name == "/close":
            return await self._close(rest)
        if name == "/ping":
            await self._ping(rest)
        elif name == "/binary":
            try:
                await self._ws.send(bytes.fromhex(rest))
            except ValueError:
                self._console.notice(
                    f"Not hexadecimal: {rest!r}. Expected pairs of digits: /binary 00 ff 7f",
                    "error",
                )
        elif name in ("/help", "/?"):
            self._console.notice(_HELP)
        else:
            self._console.notice(
                f"There is no command {name}. /help lists them; // sends a slash.", "error"
            )
        return False

    async def _close(self, arguments: str) -> bool:
        code, _, reason = arguments.strip().partition(" ")
        if code and not code.isdecimal():
            self._console.notice(
                f"The close code is {code!r}; expected a number, such as 1000.", "error"
            )
            return False
        try:
            await self._ws.close(int(code) if code else CloseCode.NORMAL_CLOSURE, reason)
        except UsageError as exc:
            self._console.notice(f"Not closed: {exc}", "error")
            return False
        return True

    async def _ping(self, text: str) -> None:
        try:
            pong = await self._ws.ping(text or None)
        except UsageError as exc:
            self._console.notice(f"No ping: {exc}", "error")
            return
        # The next line can be typed while the pong is on its way.
        task = asyncio.ensure_future(self._await_pong(pong))
        self._pings.add(task)
        task.add_done_callback(self._pings.discard)

    async def _await_pong(self, pong: Any) -> None:
        try:
            seconds = await pong
        except (ConnectionClosed, asyncio.CancelledError):
            return
        self._console.notice(f"Pong after {seconds * 1000:.1f} ms.", "good")

    def _closed(self) -> int:
        """Tell how the connection was closed; return the exit status."""
        code = self._ws.close_code
        text = f"Closed: {explain_close(code, self._ws.close_reason)}"
        if code in OK_CLOSE_CODES:
            self._console.notice(text, "good")
            return 0
        self._console.notice(text, "error")
        return CLOSED


def explain_close(code: int | None, reason: str | None) -> str:
    """Say what a close code means.

    Args:
        code: The code; ``None`` when there is none.
        reason: The peer's reason.

    Example:
        >>> explain_close(1012, "")
        'code 1012, service restart: the server restarts, try again.'
    """
    if code is None or code == CloseCode.ABNORMAL_CLOSURE:
        text = "the connection broke off without a closing handshake (1006)"
    elif code == CloseCode.NO_STATUS_RCVD:
        text = "without a code (1005)"
    else:
        meaning = CLOSE_CODE_EXPLANATIONS.get(code)
        if meaning is None:
            meaning = "an application's own code" if code >= 4000 else "a registered code"
        advice = _ADVICE.get(code)
        text = f"code {code}, {meaning}" + (f": {advice}" if advice else "")
    return f"{text}. The reason given: {reason}" if reason else f"{text}."


def complete_uri(uri: str) -> str:
    """Return the WebSocket URI that somebody means.

    Example:
        >>> complete_uri("localhost:8000/chat"), complete_uri("https://example.com")
        ('ws://localhost:8000/chat', 'wss://example.com')
    """
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return f"ws://{uri}"
    return {"http": "ws", "https": "wss"}.get(scheme.lower(), scheme) + "://" + rest


def explain_failure(exc: Exception, uri: str) -> str:
    """Say why there is no connection, and what may help.

    Args:
        exc: What connecting raised.
        uri: Where to.
    """
    parts = urlsplit(uri)
    where = parts.netloc.rpartition("@")[2]
    if isinstance(exc, InvalidStatus):
        return refusal(exc.response)
    if isinstance(exc, InvalidURI):
        return f"{exc}. Expected something like ws://localhost:8000/chat"
    if isinstance(exc, ssl.SSLCertVerificationError):
        return (
            f"The certificate of {where} cannot be trusted: {exc.verify_message}."
            " --insecure connects nevertheless."
        )
    if isinstance(exc, ssl.SSLError):
        return f"{where} does not speak TLS as expected ({exc.reason or exc}). Try ws:// instead."
    if isinstance(exc, ConnectionRefusedError):
        return f"Nothing listens on {where}: the connection was refused."
    if isinstance(exc, socket.gaierror):
        return f"The host {parts.hostname} is not known: {exc.strerror}."
    if isinstance(exc, TimeoutError):
        return f"{where} has not answered in time."
    if isinstance(exc, InvalidHandshake):
        return f"{where} is no WebSocket server, it seems: {exc}."
    return f"Cannot connect to {where}: {str(exc) or type(exc).__name__}."


def refusal(response: Response) -> str:
    """Say what a server has answered instead of opening a WebSocket."""
    status = f"HTTP {response.status_code} {response.reason_phrase}".rstrip()
    body = bytes(response.body or b"").decode("utf-8", "replace").strip()
    text = f"The server answered {status} instead of opening a WebSocket"
    if not body:
        return f"{text}."
    shown = printable(body[:_BODY_SHOWN])
    return f"{text}:\n{shown}" + ("\n…" if len(body) > _BODY_SHOWN else "")


def parse_headers(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Split the headers of the command line."""
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise click.UsageError(f"The header is {line!r}; expected 'NAME: VALUE'.")
        headers.append((name.strip(), value.strip()))
    return headers


@click.command(context_settings={"show_default": True})
@click.argument("uri")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Send it.")
@click.option("-s", "--subprotocol", "subprotocols", multiple=True, help="Offer a subprotocol.")
@click.option("-o", "--origin", help="Send this Origin header.")
@click.option("-k", "--insecure", is_flag=True, help="Do not check the server's certificate.")
@click.option(
    "-x",
    "--execute",
    "messages",
    multiple=True,
    metavar="MESSAGE",
    help="Send this message and wait for answers, instead of reading lines; may be repeated.",
)
@click.option(
    "-w",
    "--wait",
    type=click.FloatRange(0),
    default=1.0,
    help="Seconds to wait for answers after the last message, when nobody types.",
)
@click.option("--legacy", type=click.Choice(["75", "76"]), help="Speak this draft of hixie.")
@click.option(
    "--max-size",
    type=click.IntRange(1),
    default=2**24,
    help="Largest message that is accepted, in bytes.",
)
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), default=10.0, help="Seconds to connect."
)
@click.option(
    "--color/--no-color", default=None, show_default="on a terminal, unless NO_COLOR is set"
)
@click.option("-v", "--verbose", is_flag=True, help="Say what happens also when nobody types.")
@click.option("--socketio", is_flag=True, help="Speak Socket.IO: lines are events.")
@click.option(
    "-n",
    "--namespace",
    "namespaces",
    multiple=True,
    default=["/"],
    help="Socket.IO: connect to this namespace; may be repeated.",
)
@click.option("--auth", help="Socket.IO: what to send when connecting, in JSON.")
@click.option("--answer", help="Socket.IO: what to acknowledge the server's events with, in JSON.")
@click.option(
    "-t",
    "--transport",
    "transports",
    multiple=True,
    type=click.Choice(["polling", "websocket"]),
    show_default="both",
    help="Socket.IO: use this transport; may be repeated.",
)
@click.option("--path", default="socket.io", help="Socket.IO: path of the endpoint.")
def command(
    uri: str,
    headers: tuple[str, ...],
    subprotocols: tuple[str, ...],
    origin: str | None,
    insecure: bool,
    messages: tuple[str, ...],
    wait: float,
    legacy: Literal["75", "76"] | None,
    max_size: int,
    timeout: float,
    color: bool | None,
    verbose: bool,
    socketio: bool,
    **events: Any,
) -> None:
    """Talk to a WebSocket or Socket.IO server from the terminal.

    Type lines to send them; /help lists the commands. If standard input is no terminal, its lines
    are sent, and the answers written to standard output.

    The exit status is 0 when the connection was closed with 1000, 1001 or no code, 1 with another
    code or none at all, 2 for wrong usage, and 3 when there was no connection.
    """
    console: Console
    if messages or not sys.stdin.isatty() or not sys.stdout.isatty():
        console = LineConsole(messages or None, quiet=not verbose)
    else:
        coloured = "NO_COLOR" not in os.environ if color is None else color
        console = TerminalConsole(data_folder() / "connect-history", coloured)
    if socketio:
        talking = _events(uri, console, wait, headers, insecure, timeout, **events)
    else:
        uri = complete_uri(uri)
        options: dict[str, Any] = {
            "additional_headers": parse_headers(headers),
            "subprotocols": list(subprotocols) or None,
            "origin": origin,
            "legacy": int(legacy) if legacy else None,
            "max_size": max_size,
            "open_timeout": timeout,
            "close_timeout": timeout,
        }
        if insecure and uri.startswith("wss:"):
            options["ssl"] = unchecked_tls()
        talking = talk(uri, console, wait, options)
    try:
        status = asyncio.run(talking)
    except KeyboardInterrupt:
        status = 130  # as shells count an interrupted program: 128 and the signal's number
    raise SystemExit(status)


async def _events(
    url: str,
    console: Console,
    wait: float,
    headers: Sequence[str],
    insecure: bool,
    timeout: float,
    *,
    namespaces: Sequence[str],
    auth: str | None,
    answer: str | None,
    transports: Sequence[str],
    path: str,
) -> int:
    """Talk Socket.IO; return the exit status."""
    from .events import talk_events

    options: dict[str, Any] = {"ssl_verify": not insecure, "open_timeout": timeout}
    if transports:
        options["transports"] = transports
    status = await talk_events(
        url if "://" in url else f"http://{url}",
        console,
        namespaces=namespaces,
        auth=_parse_json("--auth", auth),
        answer=() if answer is None else (_parse_json("--answer", answer),),
        wait=wait,
        path=path,
        timeout=timeout,
        options={**options, "headers": dict(parse_headers(headers))},
    )
    return UNREACHABLE if status is None else status


def _parse_json(name: str, text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError as exc:
        raise click.UsageError(f"{name} is {text!r}; expected JSON: {exc}") from exc


async def talk(uri: str, console: Console, wait: float, options: dict[str, Any]) -> int:
    """Connect and talk; return the exit status.

    Args:
        uri: Where to.
        console: Where it is shown.
        wait: Seconds to wait for answers after the last line.
        options: For ``connect``.
    """
    try:
        ws = await connect(uri, **options)
    except UsageError as exc:
        raise click.UsageError(explain_failure(exc, uri)) from exc
    except (OSError, InvalidHandshake) as exc:
        console.notice(explain_failure(exc, uri), "error")
        return UNREACHABLE
    if console.interactive:
        agreed = f", speaking {ws.subprotocol}" if ws.subprotocol else ""
        console.notice(f"Connected to {uri}{agreed}. /help lists the commands.", "good")
    else:
        console.notice(f"Connected to {uri}.")
    return await Dialogue(ws, console, wait).run()
