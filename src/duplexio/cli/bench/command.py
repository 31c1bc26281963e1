"""``duplexio bench``, the command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.live import Live

from ..connect import complete_uri, parse_headers
from .page import page
from .plan import Answer, Plan
from .report import as_json, live, summary
from .run import Results, WorkerFailed, run

__all__ = ["FAILED", "command"]

#: Exit status when messages were lost, or connections.
FAILED = 1
UNREACHABLE = 3

_OPTIONS: list[Callable[..., Any]] = [
    click.option(
        "--socketio/--websocket",
        default=None,
        show_default="Socket.IO for http:// and https://, WebSocket for ws:// and wss://",
        help="What to speak.",
    ),
    click.option("-c", "--connections", type=click.IntRange(1), default=100, help="How many."),
    click.option(
        "-d",
        "--duration",
        type=click.FloatRange(0.5),
        default=10.0,
        help="Seconds that are measured.",
    ),
    click.option("--warm-up", type=click.FloatRange(0), default=1.0, help="Seconds before that."),
    click.option(
        "--ramp-up",
        type=click.FloatRange(0),
        default=0.0,
        help="Seconds over which connections open.",
    ),
    click.option(
        "-r",
        "--rate",
        type=click.FloatRange(0, min_open=True),
        show_default="as many as are answered",
        help="Messages per second, in all; latencies count from when each was due.",
    ),
    click.option(
        "-i",
        "--in-flight",
        type=click.IntRange(1),
        default=1,
        help="Messages per connection that wait for answers, without a rate.",
    ),
    click.option(
        "-s", "--size", "payload", type=click.IntRange(0), default=64, help="Bytes of a payload."
    ),
    click.option("--binary", is_flag=True, help="Send bytes instead of text."),
    click.option(
        "-a",
        "--answer",
        type=click.Choice(get_args(Answer)),
        show_default="ack for Socket.IO, echo for WebSocket",
        help="What counts as the answer to a message.",
    ),
    click.option("-e", "--event", default="message", help="Socket.IO: the event that is sent."),
    click.option("-n", "--namespace", default="/", help="Socket.IO: the namespace."),
    click.option("--auth", default="", help="Socket.IO: what is sent when connecting, as JSON."),
    click.option("--rooms", type=click.IntRange(0), default=0, help="Socket.IO: rooms to spread."),
    click.option("--join", default="join", help="Socket.IO: the event that asks for a room."),
    click.option(
        "-t",
        "--transport",
        "transports",
        multiple=True,
        type=click.Choice(["websocket", "polling"]),
        default=["websocket"],
        help="Socket.IO: transports, in order; may be repeated.",
    ),
    click.option(
        "-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Send it."
    ),
    click.option("-k", "--insecure", is_flag=True, help="Do not check the certificate."),
    click.option("-p", "--processes", type=click.IntRange(1), default=1, help="How many share it."),
    click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=10.0,
        help="Seconds to connect, and for the last answers.",
    ),
    click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write results."),
    click.option("--html", "html_file", type=click.Path(path_type=Path), help="Write a page."),
]


def _with_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command(context_settings={"show_default": True})
@click.argument("url")
@_with_options
def command(
    url: str,
    processes: int,
    json_file: Path | None,
    html_file: Path | None,
    **options: Any,
) -> None:
    """Put load on a server, and measure how it answers.

    The server must answer: a WebSocket server by echoing each message; a Socket.IO server by
    acknowledging the event, as handlers do by returning, or with --answer echo by emitting an event
    for each; with --answer deliveries every event that reaches any of the clients counts, as when
    the server broadcasts.

    The exit status is 0, 1 when connections or answers were missing, 2 for wrong usage, and 3 when
    no connection could be opened.
    """
    plan = make_plan(url, **options)
    console = Console(highlight=False)
    try:
        results = asyncio.run(watch(plan, processes, console))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except WorkerFailed as exc:
        raise click.ClickException(f"{exc} PYTHONDEVMODE=1 shows why.") from exc
    console.print(summary(results))
    if json_file is not None:
        json_file.write_text(json.dumps(as_json(results), indent=2) + "\n", encoding="utf-8")
    if html_file is not None:
        html_file.write_text(page(results), encoding="utf-8")
    if not results.opened:
        raise SystemExit(UNREACHABLE)
    raise SystemExit(FAILED if results.errors else 0)


def make_plan(url: str, **options: Any) -> Plan:
    """Make a plan of the command line.

    Raises:
        click.UsageError: The options do not go together.
    """
    socketio = options.pop("socketio")
    if socketio is None:
        socketio = urlsplit(url).scheme in ("http", "https")
    answer: Answer = options.pop("answer") or ("ack" if socketio else "echo")
    if not socketio and answer == "ack":
        raise click.UsageError("A WebSocket has no acknowledgements: --answer echo, or --socketio.")
    if options["auth"]:
        try:
            json.loads(options["auth"])
        except ValueError as exc:
            raise click.UsageError(f"--auth is no JSON: {exc}") from exc
    if options["rate"] is None and answer in ("none", "deliveries"):
        raise click.UsageError(f"With --answer {answer} nothing says when to go on: give --rate.")
    if not socketio:
        url = complete_uri(url)
    elif "://" not in url:
        url = f"http://{url}"
    options["headers"] = tuple(parse_headers(options["headers"]))
    options["transports"] = tuple(options["transports"])
    return Plan(url=url, socketio=socketio, answer=answer, **options)


async def watch(plan: Plan, processes: int, console: Console) -> Results:
    """Run a load, and show how it goes where a person looks on."""
    if not console.is_terminal:
        return await run(plan, processes, lambda results: None)
    with Live(console=console, refresh_per_second=8, transient=True) as display:
        return await run(plan, processes, lambda results: display.update(live(results)))
