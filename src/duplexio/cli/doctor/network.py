"""What stands between a client and the server: proxies, load balancers, origins, limits."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from statistics import median

from .findings import Finding, good, note, problem, warning
from .probe import FAILURES, Answer, NotEngineIO, Polling, Requests
from .transports import Spoken

__all__ = [
    "check_buffering",
    "check_latency",
    "check_origins",
    "check_sizes",
    "check_stickiness",
    "judge_clock",
    "judge_origins",
]

# Requests of one session, each on a connection of its own: with two workers and no stickiness, one
# in 2 ** 12 sessions would get through.
_REQUESTS = 12

#: Bytes that are sent at most to try the limit of the bodies.
LARGEST = 8_000_000

#: Seconds by which clocks may differ.
CLOCK = 5.0

# An origin that nobody allows (RFC 2606 §2 reserves the name).
_FOREIGN = "https://doctor.invalid"


async def check_latency(requests: Requests) -> list[Finding]:
    """Measure how long answers take, and compare the clocks."""
    seconds = []
    answer = None
    # Refused at once, without a session.
    query = {"EIO": "4", "transport": "none"}
    for _ in range(5):
        try:
            answer = await requests.ask("GET", query)
        except FAILURES:
            return []
        seconds.append(answer.seconds)
    assert answer is not None
    middle = median(seconds)
    text = f"An answer takes {middle * 1000:.0f} ms, on a connection of its own."
    if middle > 1:
        findings = [
            warning("Latency", text, "Look at the network, and at what blocks the event loop.")
        ]
    else:
        findings = [good("Latency", text)]
    date = answer.first("date")
    return findings + (judge_clock(date, datetime.now(UTC), middle) if date else [])


def judge_clock(date: str, now: datetime, latency: float) -> list[Finding]:
    """Compare the server's clock with ours.

    Args:
        date: Value of its ``Date`` header, in whole seconds.
        now: Our time.
        latency: Seconds that the answer took.
    """
    try:
        difference = (parsedate_to_datetime(date) - now).total_seconds()
    except (ValueError, TypeError):
        return [note("Clock", f"The Date header {date!r} is no date.")]
    if abs(difference) > CLOCK + latency:
        return [
            warning(
                "Clock",
                f"The server's clock is {abs(difference):.0f} s"
                f" {'ahead of' if difference > 0 else 'behind'} this machine's.",
                "Let both follow a time server: tokens with an expiry fail otherwise.",
            )
        ]
    return [good("Clock", "The server's clock agrees with this machine's.")]


async def check_stickiness(requests: Requests, spoken: Spoken) -> list[Finding]:
    """Send the requests of one session over different connections."""
    if spoken.protocol is None:
        return []
    # What each side may send at any time: a pong in Engine.IO 4, a ping in 3.
    packet = "3" if spoken.protocol == 4 else "2"
    lost = 0
    try:
        async with requests.polling(spoken.protocol) as session:
            for _ in range(_REQUESTS):
                answer = await session.post(packet)
                lost += answer.unknown_session
    except (NotEngineIO, *FAILURES) as exc:
        return [note("Stickiness", f"Not examined: {str(exc) or type(exc).__name__}.")]
    if lost:
        return [
            problem(
                "Stickiness",
                f"{lost} of {_REQUESTS} requests of one session reached a worker that does not know"
                " it.",
                "Long polling and the upgrade need every request of a session at the same worker:"
                " make the load balancer sticky (in nginx: hash $arg_sid or ip_hash), serve with"
                " one process, or let clients use WebSocket only.",
            )
        ]
    if requests.cookies:
        return [
            note(
                "Stickiness",
                "All requests of a session reach its worker. The server or the load balancer sets"
                f" cookies: {', '.join(requests.cookies)}.",
                "If stickiness hangs on them, pages of other origins need withCredentials.",
            )
        ]
    return [good("Stickiness", "All requests of a session reach the worker that knows it.")]


async def check_origins(requests: Requests, spoken: Spoken) -> list[Finding]:
    """Find out whose pages may connect."""
    if spoken.protocol is None:
        return []
    query = {"EIO": str(spoken.protocol), "transport": "polling"}
    findings = []
    page = requests.target.origin
    for origin in (page or requests.target.own_origin, _FOREIGN):
        try:
            answer = await requests.ask("GET", query, headers={"Origin": origin})
        except FAILURES as exc:
            findings.append(note("CORS", f"No answer to {origin}: {str(exc) or type(exc)}."))
            continue
        findings += judge_origins(
            answer, origin, wanted=origin == page, same=origin == requests.target.own_origin
        )
    return findings


def judge_origins(answer: Answer, origin: str, wanted: bool, same: bool) -> list[Finding]:
    """Say what an answer to a page of some origin means.

    Args:
        answer: The answer to the handshake.
        origin: Origin of the page.
        wanted: Whether the page is to connect.
        same: Whether the page comes from the server itself, so that it needs no permission.
    """
    allowed = answer.all("access-control-allow-origin")
    credentials = answer.first("access-control-allow-credentials").lower() == "true"
    if len(allowed) > 1 or (allowed and "," in allowed[0]):
        return [
            problem(
                "CORS",
                f"Access-Control-Allow-Origin comes {max(len(allowed), 2)} times"
                f" ({', '.join(allowed)}): browsers refuse that.",
                "Both the application and the proxy, or a CORS middleware, add it: switch one off"
                " (cors_allowed_origins=[] on the server).",
            )
        ]
    if origin == _FOREIGN and not wanted:
        return judge_foreign(answer, allowed, credentials)
    permitted = same or (bool(allowed) and allowed[0] in ("*", origin))
    if answer.status == 200 and permitted:
        return [good("CORS", f"Pages of {origin} may connect.")]
    if not wanted and same:
        return [
            warning(
                "CORS",
                f"Not even pages of {origin}, the server itself, may connect: {answer.summary()}.",
                "Behind a proxy the server must know its outer name and scheme: pass Host,"
                " X-Forwarded-Proto and X-Forwarded-Host on, and let the server trust the proxy.",
            )
        ]
    said = f"it allows {allowed[0]!r}" if allowed else "it sends no Access-Control-Allow-Origin"
    return [
        problem(
            "CORS",
            f"Pages of {origin} may not connect ({answer.summary(60)}; {said}).",
            f"Add {origin!r} to cors_allowed_origins.",
        )
    ]


def judge_foreign(answer: Answer, allowed: list[str], credentials: bool) -> list[Finding]:
    """Say what it means how a page of any site is answered."""
    if not allowed or allowed[0] not in ("*", _FOREIGN):
        return [good("CORS", "Pages of other sites are refused.")]
    if credentials:
        return [
            warning(
                "CORS",
                "Pages of any site may connect, with the cookies of their visitors.",
                "List the origins that are to connect; '*' with credentials lets every site act for"
                " whoever is logged in.",
            )
        ]
    return [note("CORS", "Pages of any site may connect, without cookies.")]


async def check_buffering(requests: Requests, spoken: Spoken) -> list[Finding]:
    """See whether a poll is answered as soon as there is something to say."""
    if spoken.protocol is None or not spoken.socketio:
        return []  # nothing of Engine.IO 4 asks for an answer
    patience = min(requests.target.timeout, 5.0)
    try:
        async with requests.polling(spoken.protocol) as session:
            if session.opening.protocol == 3 and not session.opening.packets:
                await session.get()
            poll = asyncio.ensure_future(session.get(timeout=2 * patience))
            try:
                await asyncio.sleep(0.2)  # so that it waits at the server
                if poll.done():
                    return []
                # Either is answered, and no application sees it.
                await session.post("40/duplexio-doctor," if session.opening.protocol == 4 else "2")
                started = time.monotonic()
                done, _ = await asyncio.wait({poll}, timeout=patience)
                waited = time.monotonic() - started
            finally:
                poll.cancel()
    except (NotEngineIO, *FAILURES) as exc:
        return [note("Buffering", f"Not examined: {str(exc) or type(exc).__name__}.")]
    if not done:
        return [
            problem(
                "Buffering",
                f"A waiting poll had no answer {patience:g} s after there was something to say.",
                "A proxy keeps answers back. In nginx: proxy_buffering off; and look for caches and"
                " virus scanners in between.",
            )
        ]
    text = f"A waiting poll is answered at once ({waited * 1000:.0f} ms)."
    if waited > 1:
        return [
            warning(
                "Buffering",
                f"A waiting poll was answered {waited:.1f} s after there was something to say.",
                "Look for a proxy that buffers, or an event loop that is blocked.",
            )
        ]
    return [good("Buffering", text)]


async def check_sizes(requests: Requests, spoken: Spoken) -> list[Finding]:
    """Send a body nearly as large as the server says that it takes."""
    opening = spoken.openings.get(4)
    if opening is None:
        return []
    if not opening.max_payload:
        return [note("Size", "The server does not say how large a body may be.")]
    size = min(opening.max_payload, LARGEST) * 9 // 10
    try:
        async with requests.polling(4) as session:
            return [judge_size(await send_large(session, size), size, opening.max_payload)]
    except NotEngineIO as exc:
        return [note("Size", f"Not examined: {exc}.")]
    except FAILURES as exc:
        return [
            problem(
                "Size",
                f"The connection broke while {size:,} bytes were sent: {str(exc) or type(exc)}.",
                "Look for a proxy with a smaller limit, or a shorter time for bodies.",
            )
        ]


async def send_large(session: Polling, size: int) -> Answer:
    """Send a packet of a size, to a namespace that there is not."""
    head = '40/duplexio-doctor,{"padding":"'
    return await session.post(head + "x" * (size - len(head) - 2) + '"}')


def judge_size(answer: Answer, size: int, limit: int) -> Finding:
    """Say what the answer to a large body means."""
    if answer.status == 200:
        return good("Size", f"A body of {size:,} bytes passes; the server takes {limit:,}.")
    if answer.status == 413:
        return problem(
            "Size",
            f"A body of {size:,} bytes is too large for something in front of the server, which"
            f" takes {limit:,}.",
            "Raise the proxy's limit (in nginx: client_max_body_size), or lower"
            " max_http_buffer_size, so that clients know.",
        )
    return problem(
        "Size",
        f"A body of {size:,} bytes is answered {answer.summary()}.",
        "Look for a proxy or firewall that inspects bodies.",
    )
