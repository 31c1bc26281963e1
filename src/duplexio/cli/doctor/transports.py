"""Which protocols and transports a server speaks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

from ...websocket.client import ClientConnection
from ...websocket.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from ..connect import refusal
from .findings import Finding, Level, good, note, problem, warning
from .probe import FAILURES, Answer, NotEngineIO, Opening, Polling, Requests, read_opening

__all__ = ["Spoken", "check_jsonp", "check_polling", "check_socketio", "check_upgrade", "find_path"]

#: Where Engine.IO endpoints usually are.
USUAL_PATHS = ("/socket.io/", "/engine.io/", "/ws/socket.io/", "/api/socket.io/")

_CLIENTS = {4: "the JavaScript clients 3.x and 4.x", 3: "the JavaScript clients 1.x and 2.x"}
# The number of the Engine.IO error "Bad request".
_BAD_REQUEST = 3

# Seconds in which a server answers what it answers at once.
_AT_ONCE = 3.0

_BROKEN = (*FAILURES, ConnectionClosed, InvalidHandshake)


class Spoken:
    """What the server was found to speak.

    Attributes:
        openings: How it opens sessions on polling, by the version of Engine.IO asked for.
        websockets: Versions that it speaks over a WebSocket from the start.
        socketio: Whether it speaks Socket.IO on top of Engine.IO.
    """

    def __init__(self) -> None:
        self.openings: dict[int, Opening] = {}
        self.websockets: set[int] = set()
        self.socketio = False

    @property
    def protocol(self) -> int | None:
        """The newest version that it speaks on polling; ``None`` for none."""
        return max(self.openings, default=None)


async def find_path(requests: Requests) -> str | None:
    """Look for an Engine.IO endpoint at the usual paths."""
    for path in USUAL_PATHS:
        if path == requests.target.path:
            continue
        for protocol in (4, 3):
            try:
                await requests.open(protocol, path=path)
            except NotEngineIO as exc:
                if exc.answer.code is None:
                    continue
            except FAILURES:
                continue
            return path
    return None


def explain_refusal(answer: Answer, protocol: int) -> Finding:
    """Say why an answer does not open a session."""
    area = f"Engine.IO {protocol}"
    if answer.unsupported:
        return note(
            area,
            f"Not spoken: {_CLIENTS[protocol]} cannot connect.",
            "Where such clients must be served: Node's allowEIO3, or duplexio, which speaks both.",
        )
    if answer.code == 0:
        return note(area, "Long polling is switched off, or refused for this client.")
    if answer.status in (301, 302, 303, 307, 308):
        return problem(
            area,
            f"Redirected to {answer.first('location')!r} (HTTP {answer.status}).",
            "Use that address: a redirected POST may lose its body, and a WebSocket its handshake.",
        )
    if answer.status in (401, 403):
        return problem(
            area,
            f"Refused: {answer.summary()}.",
            "Give the origin of the page with --origin, or the headers that the server wants with"
            " -H; on the server look at cors_allowed_origins and allow_request.",
        )
    if answer.status == 404:
        return problem(
            area,
            f"Nothing is at {answer.summary()}.",
            "Check the path: that of socketio_path, below where the application is mounted.",
        )
    if answer.status in (502, 503, 504):
        return problem(
            area,
            f"A proxy answers that the server behind it does not: {answer.summary()}.",
            "Look whether the server runs, and at the proxy's upstream address and log.",
        )
    return problem(
        area,
        f"The answer opens no session: {answer.summary()}.",
        "What answers here is no Engine.IO server: check the path, and the proxy's routes.",
    )


def describe_opening(opening: Opening) -> list[Finding]:
    """Say what a server says of the sessions that it opens."""
    area = f"Engine.IO {opening.asked}"
    if opening.protocol != opening.asked:
        return [
            warning(
                area,
                f"Asked for version {opening.asked}, the server answers in the form of version"
                f" {opening.protocol}: {_CLIENTS[opening.asked]} cannot read it.",
                f"Use a client of version {opening.protocol}, or a server that speaks both.",
            )
        ]
    limit = f", bodies up to {opening.max_payload:,} bytes" if opening.max_payload else ""
    findings = [
        good(
            area,
            f"Long polling works (heartbeat every {opening.ping_interval:g} s,"
            f" {opening.ping_timeout:g} s late at most{limit}).",
        )
    ]
    if opening.ping_timeout <= 0 or opening.ping_interval <= 0:
        findings.append(
            problem(
                area,
                "The server says that its heartbeat takes no time at all.",
                "Give ping_interval and ping_timeout in the unit that the server wants.",
            )
        )
    return findings


async def check_polling(requests: Requests, spoken: Spoken) -> list[Finding]:
    """Open sessions of both protocols on long polling."""
    findings: list[Finding] = []
    refusals: list[Finding] = []
    for protocol in (4, 3):
        try:
            async with requests.polling(protocol) as session:
                findings += describe_opening(session.opening)
                if session.opening.protocol == protocol:
                    spoken.openings[protocol] = session.opening
        except NotEngineIO as exc:
            refusals.append(explain_refusal(exc.answer, protocol))
        except FAILURES as exc:
            refusals.append(
                problem(f"Engine.IO {protocol}", f"No answer: {_text(exc)}.", "Look at its log.")
            )
    return findings + refusals


async def check_websockets(requests: Requests, spoken: Spoken) -> list[Finding]:
    """Open sessions of both protocols on a WebSocket from the start."""
    findings = []
    for protocol in (4, 3):
        if spoken.openings and protocol not in spoken.openings:
            continue
        area = f"WebSocket, {protocol}"
        query = {"EIO": str(protocol), "transport": "websocket"}
        origin = requests.target.origin or None
        try:
            async with requests.websocket(query, origin=origin) as ws:
                async with asyncio.timeout(requests.target.timeout):
                    message = await ws.recv()
                if read_opening(message, protocol) is None:
                    findings.append(
                        problem(
                            area,
                            f"The first message opens no session: {message[:60]!r}.",
                            "What answers here is no Engine.IO server: check the path.",
                        )
                    )
                    continue
                spoken.websockets.add(protocol)
                findings.append(good(area, "A session may begin on a WebSocket."))
        except InvalidStatus as exc:
            findings.append(refused_websocket(area, exc))
        except _BROKEN as exc:
            findings.append(
                problem(
                    area,
                    f"A session cannot begin on a WebSocket: {_text(exc)}.",
                    "If long polling works, a proxy in between does not pass WebSockets on.",
                )
            )
    return findings


def refused_websocket(area: str, exc: InvalidStatus) -> Finding:
    """Say what it means that a WebSocket was answered with HTTP."""
    response = exc.response
    if response.status_code in (400, 426) and _misses_upgrade(bytes(response.body or b"")):
        return problem(
            area,
            "The server says that this is no handshake of a WebSocket: the Upgrade header did not"
            f" reach it, it seems (HTTP {response.status_code}).",
            "Let the proxy pass it on. In nginx: proxy_http_version 1.1; proxy_set_header Upgrade"
            " $http_upgrade; proxy_set_header Connection $connection_upgrade.",
        )
    if response.status_code == 200:
        return problem(
            area,
            "The server answers the WebSocket as a plain request (HTTP 200): the Upgrade header"
            " did not reach it.",
            "Let the proxy pass Upgrade and Connection on, with HTTP/1.1 to the server.",
        )
    if response.status_code in (401, 403):
        return problem(
            area,
            refusal(response),
            "Allow the page's origin on the server, or give it with --origin.",
        )
    return problem(
        area,
        refusal(response),
        "Look at the proxy's configuration for WebSockets, and at the server's transports.",
    )


def _misses_upgrade(body: bytes) -> bool:
    """Tell whether a server has got a plain request where it expected the handshake."""
    if b"pgrade" in body or b"WebSocket" in body:
        return True
    try:
        error = json.loads(body)
    except ValueError:
        return False
    return isinstance(error, dict) and error.get("code") == _BAD_REQUEST


async def check_upgrade(requests: Requests, spoken: Spoken) -> list[Finding]:
    """Go from long polling on to a WebSocket, as clients do."""
    findings = []
    for protocol, opening in sorted(spoken.openings.items(), reverse=True):
        area = f"Upgrade, {protocol}"
        if "websocket" not in opening.upgrades:
            findings.append(
                note(
                    area,
                    "The server offers no WebSocket to sessions on long polling.",
                    "If that is not meant: look at transports and allow_upgrades, and whether the"
                    " server has a WebSocket implementation installed.",
                )
            )
            continue
        try:
            findings.append(await upgrade(requests, protocol, spoken.socketio))
        except InvalidStatus as exc:
            findings.append(refused_websocket(area, exc))
        except NotEngineIO as exc:
            findings.append(explain_refusal(exc.answer, protocol))
        except _BROKEN as exc:
            findings.append(
                problem(
                    area,
                    f"It broke off: {_text(exc)}.",
                    "Clients stay on long polling. Look at the proxy's timeouts and the log of the"
                    " server.",
                )
            )
    return findings


async def upgrade(requests: Requests, protocol: int, socketio: bool) -> Finding:
    """Upgrade a session; return how that went.

    Args:
        requests: How to ask.
        protocol: Version of Engine.IO.
        socketio: Whether Socket.IO is spoken on top of it.
    """
    area = f"Upgrade, {protocol}"
    async with requests.polling(protocol) as session:
        started = time.monotonic()
        query = session.websocket_query()
        async with requests.websocket(query, origin=requests.target.origin or None) as ws:
            async with asyncio.timeout(requests.target.timeout):
                await ws.send("2probe")
                answer = await ws.recv()
                if answer != "3probe":
                    return problem(
                        area,
                        f"The probe is answered {answer!r}; expected '3probe'.",
                        "The server does not follow the Engine.IO protocol.",
                    )
                # The server may keep a poll until the client has gone over.
                poll = asyncio.ensure_future(session.get())
                try:
                    await asyncio.wait({poll}, timeout=1)
                    await ws.send("5")
                    await _round_trip(ws, protocol, socketio)
                finally:
                    poll.cancel()
            return good(
                area, f"Long polling goes on to a WebSocket ({_ms(time.monotonic() - started)})."
            )


async def _round_trip(ws: ClientConnection, protocol: int, socketio: bool) -> None:
    """Make sure that the session is there behind the upgrade."""
    if protocol == 3:
        await ws.send("2")
        while await ws.recv() != "3":
            pass
    elif socketio:
        # A namespace that there is not, so that no application sees it.
        await ws.send("40/duplexio-doctor,")
        while not str(await ws.recv()).startswith("4"):
            pass
    else:
        # Nothing of Engine.IO 4 asks for an answer: a server that knows no session closes.
        await (await ws.ping())


async def check_socketio(requests: Requests, spoken: Spoken) -> list[Finding]:
    """Connect to the main namespace, where Socket.IO is spoken."""
    protocol = spoken.protocol
    if protocol is None:
        return []
    try:
        async with requests.polling(protocol) as session:
            finding = await connect_namespace(session)
            spoken.socketio = finding.level in (Level.GOOD, Level.WARNING)
            return [finding]
    except (NotEngineIO, *FAILURES) as exc:
        return [problem("Socket.IO", f"No answer: {_text(exc)}.", "Look at the server's log.")]


async def connect_namespace(session: Polling) -> Finding:
    """Connect to ``/``; return how that went."""
    area = "Socket.IO"
    packets = list(session.opening.packets)
    if session.opening.protocol == 4:
        answer = await session.post("40")
        if answer.status != 200:
            return note(area, f"Not spoken here, it seems: CONNECT is answered {answer.summary()}.")
    if not packets:
        try:
            packets = session.packets(await session.get(timeout=_AT_ONCE))
        except TimeoutError:
            return unanswered(session.requests.target.path)
    first = next((p for p in packets if isinstance(p, str) and p[:1] == "4"), "")
    if first.startswith("40"):
        return good(area, "The main namespace accepts the connection.")
    if first.startswith("44"):
        try:
            said = json.loads(first[2:])
        except ValueError:
            said = first[2:]
        message = said.get("message", said) if isinstance(said, dict) else said
        return warning(
            area,
            f"The main namespace refuses the connection: {message!r}.",
            "If it wants credentials, that is as it should be: what they are belongs into auth.",
        )
    return note(area, "Not spoken here, it seems: the server speaks Engine.IO only.")


async def check_jsonp(requests: Requests, spoken: Spoken) -> list[Finding]:
    """Find out whether a script of any site could open a session."""
    if spoken.protocol is None:
        return []
    query = {"EIO": str(spoken.protocol), "transport": "polling", "j": "0"}
    try:
        answer = await requests.ask("GET", query)
    except FAILURES:
        return []
    if answer.status == 200 and b"___eio[" in answer.body:
        return [
            warning(
                "JSONP",
                "Answered, also to a request that names no page.",
                "Scripts of any site can read what the visitor's cookies open. Switch JSONP off,"
                " unless browsers without CORS must be served.",
            )
        ]
    return []


async def check_plain_websocket(requests: Requests, path: str) -> list[Finding]:
    """Open a WebSocket without Engine.IO.

    Args:
        requests: How to ask.
        path: Its path.
    """
    try:
        async with requests.websocket({}, origin=requests.target.origin or None, path=path) as ws:
            findings = [good("WebSocket", f"Opens at {path}.")]
            if ws.subprotocol:
                findings.append(note("WebSocket", f"The subprotocol is {ws.subprotocol!r}."))
            async with asyncio.timeout(requests.target.timeout):
                seconds = await (await ws.ping())
            return [*findings, good("WebSocket", f"A pong takes {_ms(seconds)}.")]
    except InvalidStatus as exc:
        return [refused_websocket("WebSocket", exc)]
    except TimeoutError:
        return [
            problem(
                "WebSocket",
                "It opens, but no pong comes.",
                "Something in between answers the handshake and does not pass frames on.",
            )
        ]
    except _BROKEN as exc:
        return [
            problem("WebSocket", f"None at {path}: {_text(exc)}.", "Check the path and the server.")
        ]


def unanswered(path: str) -> Finding:
    """Say what it means that nothing answers CONNECT."""
    if "socket.io" not in path:
        return note("Socket.IO", "Not spoken here, it seems: the server speaks Engine.IO only.")
    return problem(
        "Socket.IO",
        f"Nothing answers CONNECT on long polling within {_AT_ONCE:g} s.",
        "Either a proxy keeps answers back (in nginx: proxy_buffering off), or the connect handler"
        " takes so long, or the server speaks Engine.IO only.",
    )


#: What is examined for any Engine.IO server, in this order.
CHECKS: tuple[Callable[[Requests, Spoken], Awaitable[list[Finding]]], ...] = (
    check_socketio,
    check_websockets,
    check_upgrade,
    check_jsonp,
)


def _text(exc: BaseException) -> str:
    return str(exc) or type(exc).__name__


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
