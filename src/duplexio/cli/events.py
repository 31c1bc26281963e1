"""``duplexio connect --socketio``: events instead of messages."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

from ..socketio import AsyncClient
from ..socketio.exceptions import ConnectionError, SocketIOError
from .console import Console

__all__ = ["EventDialogue", "parse_event", "show_value", "talk_events"]

_HELP = """\
What you type is emitted: the name of an event, and its arguments in JSON, one behind the other.
What is no JSON goes as one text. Lines that begin with a slash are commands:
  /ack EVENT ARGUMENTS      emit, and show the acknowledgement
  /binary EVENT HEX         emit bytes, such as /binary upload 00 ff 7f
  /namespace NAME           emit to this namespace from now on
  /quit                     disconnect; so do Ctrl+D and Ctrl+C
  /help                     this help
An event whose name has spaces goes in quotes: "new message" {"text": "hello"}"""

# Shown of bytes within an event.
_BYTES_SHOWN = 16


def parse_event(line: str) -> tuple[str, tuple[Any, ...]]:
    """Read an event as people type it.

    Args:
        line: The name, and the arguments.

    Raises:
        ValueError: There is no name.

    Example:
        >>> parse_event('say {"a": 1} 2'), parse_event("say hello, you")
        (('say', ({'a': 1}, 2)), ('say', ('hello, you',)))
    """
    line = line.strip()
    decoder = json.JSONDecoder()
    if line.startswith('"'):
        event, end = decoder.raw_decode(line)
        rest = line[end:].strip()
    else:
        event, _, rest = line.partition(" ")
        rest = rest.strip()
    if not event:
        raise ValueError("no event")
    arguments: list[Any] = []
    position = 0
    while position < len(rest):
        try:
            value, position = decoder.raw_decode(rest, position)
        except ValueError:
            return event, (rest,)
        arguments.append(value)
        while rest[position : position + 1].isspace():
            position += 1
    return event, tuple(arguments)


def show_value(value: Any) -> str:
    """Return an argument of an event as JSON, with bytes as people read them.

    Example:
        >>> show_value({"a": [b"\\x00\\xff", "é"]})
        '{"a": [<2 bytes: 00 ff>, "é"]}'
    """
    if isinstance(value, bytes | bytearray):
        more = " …" if len(value) > _BYTES_SHOWN else ""
        return f"<{len(value):,} bytes: {bytes(value[:_BYTES_SHOWN]).hex(' ')}{more}>"
    if isinstance(value, dict):
        inside = (f"{json.dumps(str(key))}: {show_value(item)}" for key, item in value.items())
        return f"{{{', '.join(inside)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(show_value, value))}]"
    return json.dumps(value, ensure_ascii=False)


class EventDialogue:
    """A conversation of events.

    Args:
        client: The client, before it connects.
        console: Where it is shown, and where the lines come from.
        namespaces: The namespaces; events go to the first until ``/namespace`` names another.
        answer: What the server's events are acknowledged with.
        wait: Seconds to wait for answers after the last line, when nobody types.
    """

    def __init__(
        self,
        client: AsyncClient,
        console: Console,
        namespaces: Sequence[str],
        answer: tuple[Any, ...],
        wait: float,
    ) -> None:
        self._client = client
        self._console = console
        self._namespaces = list(namespaces)
        self._namespace = namespaces[0]
        self._answer = answer
        self._wait = wait
        self._acks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._status = 0
        for namespace in namespaces:
            self._listen(namespace)

    def _listen(self, namespace: str) -> None:
        where = "" if namespace == "/" else f"{namespace} "

        def received(event: str, *args: Any) -> tuple[Any, ...]:
            if self._console.interactive:
                shown = " ".join([f"{where}{event}", *map(show_value, args)])
                self._console.message(shown)
            else:
                self._console.message(show_value([event, *args]))
            return self._answer

        def connected() -> None:
            sid = self._client.get_sid(namespace)
            self._console.notice(f"Connected to {namespace} as {sid}.", "good")

        def refused(data: Any = None) -> None:
            self._console.notice(f"Refused by {namespace}: {show_value(data)}", "error")

        def disconnected(reason: str) -> None:
            self._console.notice(f"Disconnected from {namespace}: {reason}.")

        self._client.on("*", received, namespace=namespace)
        self._client.on("connect", connected, namespace=namespace)
        self._client.on("connect_error", refused, namespace=namespace)
        self._client.on("disconnect", disconnected, namespace=namespace)

    async def run(self) -> int:
        """Talk until one side is done; return the exit status."""
        self._client.on_state(self._changed)
        with self._console.screen():
            ending = asyncio.ensure_future(self._client.wait())
            sending = asyncio.ensure_future(self._send())
            try:
                await asyncio.wait({ending, sending}, return_when=asyncio.FIRST_COMPLETED)
                if not ending.done() and not self._console.interactive:
                    await self._wait_for_answers(ending)
                self._status = 1 if ending.done() else 0
            finally:
                sending.cancel()
                for ack in self._acks:
                    ack.cancel()
                await asyncio.gather(sending, *self._acks, return_exceptions=True)
                await self._client.disconnect()
                await ending
        return self._status

    async def _wait_for_answers(self, ending: asyncio.Future[None]) -> None:
        if self._acks:
            await asyncio.wait({*self._acks, ending}, timeout=self._wait)
        await asyncio.wait({ending}, timeout=self._wait)

    def _changed(self, state: str) -> None:
        if state == "waiting":
            self._console.notice("The connection is lost; it will be tried again.", "error")

    async def _send(self) -> None:
        async for line in self._console.lines():
            try:
                if line.startswith("/"):
                    if await self._obey(line):
                        return
                elif line.strip():
                    event, arguments = parse_event(line)
                    await self._client.emit(event, arguments, namespace=self._namespace)
            except ValueError as exc:
                self._console.notice(f"Not understood: {line!r} ({exc}). /help shows how.", "error")
            except SocketIOError as exc:
                self._console.notice(f"Not sent: {exc}", "error")

    async def _obey(self, line: str) -> bool:
        """Do what a command says; return whether that was the last."""
        name, _, rest = line.partition(" ")
        if name in ("/quit", "/q"):
            return True
        if name == "/ack":
            event, arguments = parse_event(rest)
            task = asyncio.ensure_future(self._ask(event, arguments))
            self._acks.add(task)
            task.add_done_callback(self._acks.discard)
        elif name == "/binary":
            event, _, digits = rest.strip().partition(" ")
            await self._client.emit(event, bytes.fromhex(digits), namespace=self._namespace)
        elif name == "/namespace":
            self._choose(rest.strip())
        elif name in ("/help", "/?"):
            self._console.notice(_HELP)
        else:
            self._console.notice(f"There is no command {name}. /help lists them.", "error")
        return False

    def _choose(self, namespace: str) -> None:
        if namespace not in self._namespaces:
            known = ", ".join(self._namespaces)
            self._console.notice(
                f"Not connected to {namespace!r}; --namespace connects to it. There is: {known}.",
                "error",
            )
            return
        self._namespace = namespace

    async def _ask(self, event: str, arguments: tuple[Any, ...]) -> None:
        started = time.monotonic()
        try:
            answer = await self._client.call(event, arguments, namespace=self._namespace)
        except SocketIOError as exc:
            self._console.notice(f"{event}: {str(exc) or 'no acknowledgement'}", "error")
            return
        milliseconds = (time.monotonic() - started) * 1000
        if self._console.interactive:
            text = f"{event} is acknowledged after {milliseconds:.1f} ms: {show_value(answer)}"
            self._console.notice(text, "good")
        else:
            self._console.message(show_value(answer))


async def talk_events(
    url: str,
    console: Console,
    *,
    namespaces: Sequence[str],
    auth: Any,
    answer: tuple[Any, ...],
    wait: float,
    path: str,
    timeout: float,
    options: dict[str, Any],
) -> int | None:
    """Connect and talk; return the exit status, ``None`` when there is no connection.

    Args:
        url: Where to.
        console: Where it is shown.
        namespaces: The namespaces.
        auth: What the client says about itself.
        answer: What the server's events are acknowledged with.
        wait: Seconds to wait for answers after the last line.
        path: Path of the endpoint.
        timeout: Seconds to connect.
        options: For :class:`duplexio.socketio.AsyncClient`.
    """
    client = AsyncClient(**options)
    dialogue = EventDialogue(client, console, namespaces, answer, wait)
    try:
        await client.connect(
            url, auth=auth, namespaces=list(namespaces), socketio_path=path, wait_timeout=timeout
        )
    except ConnectionError as exc:
        console.notice(f"Cannot connect to {url}: {exc}", "error")
        return None
    kind = f"Engine.IO {client.protocol} over {client.transport()}"
    console.notice(f"Connected to {url}, {kind}. /help lists the commands.")
    return await dialogue.run()
