"""What ``duplexio connect`` shows, and where it reads what to send."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

__all__ = ["Console", "LineConsole", "TerminalConsole", "hex_dump", "printable"]

# Shown of a binary message; more than a screen of it helps nobody.
_DUMPED = 1_024

# What a terminal obeys instead of showing it: C0 and C1 controls but for tab and line feed.
_controls = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    r"""Return a text that moves no cursor and rings no bell.

    Example:
        >>> printable("\x1b[2J gone?")
        '\\x1b[2J gone?'
    """
    return _controls.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def hex_dump(data: bytes, limit: int = _DUMPED) -> str:
    """Return bytes as people read them, sixteen in a row.

    Args:
        data: The bytes.
        limit: How many of them are shown.

    Example:
        >>> print(hex_dump(b"duplexio"))
        00000000  64 75 70 6c 65 78 69 6f                           |duplexio|
    """
    rows = []
    for start in range(0, min(len(data), limit), 16):
        row = data[start : start + 16]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        rows.append(f"{start:08x}  {row.hex(' '):<48}  |{text}|")
    if len(data) > limit:
        rows.append(f"          and {len(data) - limit:,} bytes more")
    return "\n".join(rows)


class Console:
    """Where messages are shown and lines come from.

    Attributes:
        interactive: Whether a person types the lines, so that they may be commands.
    """

    interactive = False

    def lines(self) -> AsyncIterator[str]:
        """Return what there is to send, line by line."""
        raise NotImplementedError

    def screen(self) -> AbstractContextManager[Any]:
        """Return the context in which things are shown."""
        return nullcontext()

    def message(self, message: str | bytes) -> None:
        """Show a message of the server."""
        raise NotImplementedError

    def notice(self, text: str, kind: str = "notice") -> None:
        """Show what the program has to say; ``kind`` is ``notice``, ``good`` or ``error``."""
        raise NotImplementedError


class LineConsole(Console):
    """Lines from a pipe or a file, or messages of the command line; messages to standard output.

    Messages go out as they are, a line each, and binary ones in hexadecimal; notices go to standard
    error.

    Args:
        messages: What to send; ``None`` reads standard input.
        quiet: Whether notices other than errors are left out.
    """

    def __init__(self, messages: Iterable[str] | None, quiet: bool = True) -> None:
        self._messages = messages
        self._quiet = quiet

    async def lines(self) -> AsyncIterator[str]:
        """Return the messages, or the lines of standard input as they come."""
        if self._messages is not None:
            for message in self._messages:
                yield message
            return
        queue: asyncio.Queue[str | None] = asyncio.Queue(64)
        # A thread of our own: one of the executor's would be waited for at the end, although
        # nobody closes its input.
        reader = threading.Thread(
            target=_read_lines, args=(sys.stdin, queue, asyncio.get_running_loop()), daemon=True
        )
        reader.start()
        while (line := await queue.get()) is not None:
            yield line

    def message(self, message: str | bytes) -> None:
        """Write a message on a line."""
        text = message if isinstance(message, str) else message.hex()
        print(printable(text) if sys.stdout.isatty() else text, flush=True)

    def notice(self, text: str, kind: str = "notice") -> None:
        """Write a notice to standard error."""
        if kind == "error" or not self._quiet:
            print(printable(text), file=sys.stderr, flush=True)


def _read_lines(
    stream: TextIO, queue: asyncio.Queue[str | None], loop: asyncio.AbstractEventLoop
) -> None:
    """Put the lines of a stream into a queue, and ``None`` at the end."""
    try:
        for line in stream:
            asyncio.run_coroutine_threadsafe(queue.put(line.rstrip("\r\n")), loop).result()
        asyncio.run_coroutine_threadsafe(queue.put(None), loop).result()
    except (RuntimeError, asyncio.CancelledError):
        pass  # the program is at its end


class TerminalConsole(Console):
    """A person at a terminal: line editing, a history, colours and times.

    Args:
        history: The file with the lines typed before.
        colour: Whether to use colours.
    """

    interactive = True

    def __init__(self, history: Path, colour: bool) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
        from prompt_toolkit.history import FileHistory, InMemoryHistory
        from prompt_toolkit.output import ColorDepth
        from prompt_toolkit.styles import Style

        try:
            history.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            history.touch(mode=0o600)
            kept: FileHistory | InMemoryHistory = FileHistory(str(history))
        except OSError:
            kept = InMemoryHistory()
        self._style = Style.from_dict(
            {
                "time": "ansibrightblack",
                "received": "ansigreen bold",
                "binary": "ansimagenta",
                "notice": "ansibrightblack",
                "good": "ansicyan",
                "error": "ansired",
                "prompt": "ansiblue bold",
            }
        )
        self._depth = None if colour else ColorDepth.DEPTH_1_BIT
        self._session: PromptSession[str] = PromptSession(
            [("class:prompt", "> ")],
            history=kept,
            auto_suggest=AutoSuggestFromHistory(),
            style=self._style,
            color_depth=self._depth,
        )

    async def lines(self) -> AsyncIterator[str]:
        """Return what is typed, until the end of input or an interrupt."""
        while True:
            try:
                yield await self._session.prompt_async()
            except (EOFError, KeyboardInterrupt):
                return

    def screen(self) -> AbstractContextManager[Any]:
        """Return the context in which what is shown appears above the line being typed."""
        from prompt_toolkit.patch_stdout import patch_stdout

        return patch_stdout()

    def message(self, message: str | bytes) -> None:
        """Show a message with its time."""
        if isinstance(message, str):
            self._show(("class:received", "< "), ("", printable(message)))
        else:
            self._show(
                ("class:received", "< "),
                ("class:binary", f"{len(message):,} bytes\n{hex_dump(message)}"),
            )

    def notice(self, text: str, kind: str = "notice") -> None:
        """Show a notice with its time."""
        self._show((f"class:{kind}", printable(text)))

    def _show(self, *parts: tuple[str, str]) -> None:
        from prompt_toolkit import print_formatted_text
        from prompt_toolkit.formatted_text import FormattedText

        time = datetime.now().strftime("%H:%M:%S ")
        print_formatted_text(
            FormattedText([("class:time", time), *parts]),
            style=self._style,
            color_depth=self._depth,
        )
