"""The command, and the order in which things are examined."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import click
from rich.console import Console

from ..connect import parse_headers
from ..tls import unchecked_tls
from . import network
from .findings import Finding, Level, good, problem
from .probe import FAILURES, Requests, Target
from .report import show, show_json, summary
from .transports import CHECKS, Spoken, check_plain_websocket, check_polling, find_path
from .waiting import check_idle

__all__ = ["UNREACHABLE", "command", "examine", "parse_url"]

#: Exit statuses beside 0: there are problems; nothing could be reached.
PROBLEMS = 1
UNREACHABLE = 3

_SCHEMES = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


def parse_url(url: str, path: str | None = None) -> tuple[str, str]:
    """Return the server and the path of the endpoint that somebody means.

    Args:
        url: What was given; without a scheme, ``http`` is meant.
        path: The path, if it was given by itself.

    Raises:
        ValueError: The URL has no host, or another scheme.

    Example:
        >>> parse_url("wss://example.com"), parse_url("localhost:5000/chat/socket.io")
        (('https://example.com', '/socket.io/'), ('http://localhost:5000', '/chat/socket.io/'))
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    scheme = _SCHEMES.get(parts.scheme.lower())
    if scheme is None or not parts.hostname:
        raise ValueError(f"The URL is {url!r}; expected something like https://example.com")
    path = path or parts.path.strip("/") or "socket.io"
    return f"{scheme}://{parts.netloc.lower()}", f"/{path.strip('/')}/"


async def examine(target: Target, wait: float) -> AsyncIterator[Finding]:
    """Examine a server; yield what is found.

    Args:
        target: The server.
        wait: Seconds to wait at most for a heartbeat; 0 not to wait.
    """
    async with Requests(target) as requests:
        try:
            await requests.ask("GET", {"EIO": "4", "transport": "none"})
        except FAILURES as exc:
            yield explain_unreachable(exc, target)
            return
        yield good("Server", f"{target.url} answers.")
        spoken = Spoken()
        findings = await check_polling(requests, spoken)
        if not spoken.openings and not any("switched off" in f.text for f in findings):
            async for finding in elsewhere(requests, findings):
                yield finding
            return
        for finding in findings:
            yield finding
        for check in CHECKS:
            for finding in await check(requests, spoken):
                yield finding
        for check in (
            network.check_stickiness,
            network.check_origins,
            network.check_buffering,
            network.check_sizes,
        ):
            for finding in await check(requests, spoken):
                yield finding
        for finding in await network.check_latency(requests):
            yield finding
        if wait:
            for finding in await check_idle(requests, spoken, wait):
                yield finding


async def elsewhere(requests: Requests, findings: list[Finding]) -> AsyncIterator[Finding]:
    """Look for what may be meant, where no session could be opened."""
    path = requests.target.path
    found = await find_path(requests)
    if found is not None:
        yield problem(
            "Path",
            f"There is no Engine.IO at {path}, but there is at {found}.",
            f"Examine it with --path {found}, and give clients this path.",
        )
        return
    plain = await check_plain_websocket(requests, path.rstrip("/") or "/")
    if plain[0].level is Level.GOOD:
        yield good("Path", f"A WebSocket without Engine.IO is at {path.rstrip('/') or '/'}.")
        findings = plain
    for finding in findings:
        yield finding


def explain_unreachable(exc: BaseException, target: Target) -> Finding:
    """Say why nothing could be reached."""
    text = str(exc) or "no answer in time"
    if isinstance(exc, (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError)):
        return problem(
            "TLS",
            f"The certificate of {target.url} cannot be trusted: {text}.",
            "Renew it, or send the whole chain; --insecure examines nevertheless.",
        )
    if isinstance(exc, (aiohttp.ClientConnectorSSLError, ssl.SSLError)):
        return problem(
            "TLS", f"{target.url} does not speak TLS as expected: {text}.", "Try http:// instead."
        )
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return problem("Server", f"The host is not known: {text}.", "Check the name.")
    if isinstance(exc, aiohttp.ClientConnectorError):
        text = os.strerror(exc.os_error.errno) if exc.os_error.errno else text
    return problem(
        "Server",
        f"{target.url} cannot be reached: {text}.",
        "Check the address, the firewall, and whether the server runs.",
    )


@click.command(context_settings={"show_default": True})
@click.argument("url")
@click.option("--path", help="Path of the endpoint, where it is not /socket.io/ or in the URL.")
@click.option("-o", "--origin", default="", help="Origin of the page that is to connect.")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Send it.")
@click.option("-k", "--insecure", is_flag=True, help="Do not check the server's certificate.")
@click.option(
    "-w",
    "--wait",
    type=click.FloatRange(0),
    default=60.0,
    help="Seconds to wait at most for a heartbeat on idle connections; 0 does not wait.",
)
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), default=10.0, help="Seconds per answer."
)
@click.option("--json", "as_json", is_flag=True, help="Write the findings as JSON.")
def command(
    url: str,
    path: str | None,
    origin: str,
    headers: tuple[str, ...],
    insecure: bool,
    wait: float,
    timeout: float,
    as_json: bool,
) -> None:
    """Examine a server: which protocols and transports it speaks, and what stands in the way.

    The requests are those of a few clients. No event reaches the application but the connections
    of these clients, to the main namespace and to one that there is not.

    The exit status is 0 when there is no problem, 1 when there is one, 2 for wrong usage, and 3
    when nothing could be reached.
    """
    try:
        server, path = parse_url(url, path)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    tls = unchecked_tls() if insecure and server.startswith("https:") else None
    target = Target(server, path, tuple(parse_headers(headers)), origin.rstrip("/"), tls, timeout)
    try:
        findings = asyncio.run(run(target, wait, as_json))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if as_json:
        print(show_json(server + path, findings))
    levels = {finding.level for finding in findings}
    if Level.PROBLEM not in levels:
        raise SystemExit(0)
    raise SystemExit(PROBLEMS if Level.GOOD in levels else UNREACHABLE)


async def run(target: Target, wait: float, as_json: bool) -> list[Finding]:
    """Examine, and show what is found as it is found."""
    console = Console(file=sys.stderr if as_json else sys.stdout, quiet=as_json, highlight=False)
    findings = []
    with console.status(f"Examining {target.url}{target.path} …"):
        async for finding in examine(target, wait):
            findings.append(finding)
            show(console, finding)
    console.print(summary(findings), highlight=False)
    return findings
