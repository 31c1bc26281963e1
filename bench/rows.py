"""What is measured: the peers and the rows, as data.

A new row for the same kind of measurement is an entry in ROWS, a new peer one in PEERS.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True)
class Peer:
    """One competitor: how it is started, and what it is called.

    `module` is run with `python -m`, and `program` names what is no Python: "limit" (the C
    server) or a script for Node. `packages` are the distributions whose versions the report
    states.
    """

    title: str
    family: str
    module: str | None = None
    arguments: tuple[str, ...] = ()
    program: str | None = None
    packages: tuple[str, ...] = ()


PEERS = {
    "c": Peer("C epoll loop", "c", program="limit"),
    "duplexio": Peer(
        "duplexio", "duplexio", "bench.servers.duplexio_callback", packages=("uvloop",)
    ),
    "duplexio-coroutine": Peer("duplexio", "duplexio", "bench.servers.duplexio_coroutine"),
    "duplexio-front-door": Peer(
        "duplexio front door",
        "duplexio",
        "bench.servers.starlette_app",
        ("--protocol", "duplexio"),
        packages=("uvicorn", "starlette"),
    ),
    "picows": Peer(
        "picows", "picows", "bench.servers.picows_callback", packages=("picows", "aiofastnet")
    ),
    "picows-coroutine": Peer("picows.websockets", "picows", "bench.servers.picows_coroutine"),
    "websockets": Peer(
        "websockets", "websockets", "bench.servers.websockets_asyncio", packages=("websockets",)
    ),
    "aiohttp": Peer("aiohttp", "aiohttp", "bench.servers.aiohttp_web", packages=("aiohttp",)),
    "uvicorn-sansio": Peer(
        "uvicorn, websockets-sansio",
        "uvicorn",
        "bench.servers.starlette_app",
        ("--protocol", "websockets-sansio"),
    ),
    "uvicorn-websockets": Peer(
        "uvicorn, websockets",
        "uvicorn",
        "bench.servers.starlette_app",
        ("--protocol", "websockets"),
    ),
    "uvicorn-wsproto": Peer(
        "uvicorn, wsproto",
        "uvicorn",
        "bench.servers.starlette_app",
        ("--protocol", "wsproto"),
        packages=("wsproto",),
    ),
    "node": Peer("Node ws", "node", program="servers/node_ws.js"),
    # Socket.IO.
    "c-socketio": Peer("C epoll loop", "c", program="limit", arguments=("--socketio",)),
    "duplexio-socketio": Peer(
        "duplexio", "duplexio", "bench.servers.socketio_asgi", ("--library", "duplexio")
    ),
    "node-socketio": Peer("Node socket.io", "node", program="servers/node_socketio.js"),
    "python-socketio": Peer(
        "python-socketio, uvicorn",
        "python-socketio",
        "bench.servers.socketio_asgi",
        ("--library", "python-socketio"),
        packages=("python-socketio", "python-engineio"),
    ),
    "duplexio-socketio-typed": Peer(
        "duplexio, typed events",
        "duplexio",
        "bench.servers.socketio_asgi",
        ("--library", "duplexio", "--handlers", "typed"),
    ),
    "python-socketio-aiohttp": Peer(
        "python-socketio, aiohttp", "python-socketio", "bench.servers.socketio_aiohttp"
    ),
    # Blocking clients, against the C server.
    "socket": Peer(
        "socket module, no WebSocket",
        "c",
        "bench.clients.round_trip",
        ("--library", "socket"),
    ),
    "duplexio-sync": Peer(
        "duplexio.websocket",
        "duplexio",
        "bench.clients.round_trip",
        ("--library", "duplexio"),
    ),
    "websocket-client": Peer(
        "websocket-client",
        "websocket-client",
        "bench.clients.round_trip",
        ("--library", "websocket-client"),
        packages=("websocket-client",),
    ),
    "websockets-sync": Peer(
        "websockets.sync",
        "websockets",
        "bench.clients.round_trip",
        ("--library", "websockets"),
    ),
    # Socket.IO clients, against the C server.
    "socket-socketio": Peer(
        "socket module, no protocol",
        "c",
        "bench.clients.socketio_floor",
    ),
    "duplexio-client": Peer(
        "duplexio AsyncClient",
        "duplexio",
        "bench.clients.socketio_asyncio",
        ("--library", "duplexio"),
        packages=("uvloop",),
    ),
    "python-socketio-client": Peer(
        "python-socketio AsyncClient",
        "python-socketio",
        "bench.clients.socketio_asyncio",
        ("--library", "python-socketio"),
        packages=("python-socketio", "python-engineio", "aiohttp"),
    ),
    "duplexio-client-blocking": Peer(
        "duplexio Client",
        "duplexio",
        "bench.clients.socketio_blocking",
        ("--library", "duplexio"),
    ),
    "python-socketio-client-blocking": Peer(
        "python-socketio Client",
        "python-socketio",
        "bench.clients.socketio_blocking",
        ("--library", "python-socketio"),
        packages=("websocket-client", "requests"),
    ),
    "node-client": Peer("Node socket.io-client", "node", program="clients/node_socketio.js"),
    # permessage-deflate, no sockets.
    "websockets-deflate": Peer(
        "websockets", "websockets", "bench.clients.deflate", ("--library", "websockets")
    ),
    "duplexio-deflate": Peer(
        "duplexio",
        "duplexio",
        "bench.clients.deflate",
        ("--library", "duplexio"),
        packages=("zlib-ng", "isal"),
    ),
}


class Kind(Enum):
    """How a row is measured, and in which unit (see measure.py)."""

    LOAD = "µs of server CPU per message"
    LATENCY = "µs, p99, at half of the own capacity"
    MEMORY = "bytes of server memory per idle connection"
    CLIENT = "µs of client CPU per message"
    CLIENT_MEMORY = "bytes of client memory per idle client"
    DEFLATE = "s of CPU per GB, there and back"


@dataclass(frozen=True)
class Series:
    """Rows that differ in one thing, its `axis`, and together show how the cost grows with it."""

    name: str
    title: str
    axis: str


@dataclass(frozen=True)
class Row:
    """One line of the report.

    `arguments` go to the load generator (LOAD, LATENCY, MEMORY) or to every program of the row
    (CLIENT, CLIENT_MEMORY, DEFLATE). Ratios are against `baseline`. What duplexio wants to reach
    is a ratio to the baseline or a value in the row's unit, being ahead of every other peer (but
    the C server, and the floor of CLIENT rows), or both.
    """

    name: str
    title: str
    kind: Kind
    peers: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    tls: bool = False
    baseline: str = "c"
    reach_ratio: float | None = None
    reach_value: float | None = None
    reach_ahead: bool = False
    full_arguments: tuple[str, ...] = field(default=())
    """Added in a full run."""
    counted: str = "message"
    """What a LOAD or CLIENT row counts."""
    server: tuple[str, ...] = ()
    """Arguments of the servers, except the C server, which has nothing to set."""
    against: str = "c"
    """The server of CLIENT and CLIENT_MEMORY rows."""
    series: Series | None = None
    point: str = ""
    """Where on the series' axis the row is."""

    @property
    def unit(self) -> str:
        return self.kind.value.replace("message", self.counted)


CALLBACK = ("c", "duplexio", "picows", "websockets", "aiohttp", "node")
COROUTINE = ("c", "duplexio-coroutine", "picows-coroutine", "websockets", "aiohttp")
ASGI = ("c", "duplexio-front-door", "uvicorn-sansio", "uvicorn-websockets", "uvicorn-wsproto")
OVER_TLS = ("c", "duplexio", "picows", "websockets")

SOCKETIO = (
    "c-socketio",
    "duplexio-socketio",
    "node-socketio",
    "python-socketio",
    "python-socketio-aiohttp",
)

# Node's client, which cannot block, stands beside those that do.
CLIENTS = ("duplexio-client", "python-socketio-client", "node-client")
BLOCKING = ("duplexio-client-blocking", "python-socketio-client-blocking", "node-client")

SMALL = ("echo", "--connections", "100", "--size", "32")
EIGHT_KIB = ("echo", "--connections", "100", "--size", "8192")


def _client_rows(
    name: str,
    title: str,
    mode: str,
    counted: str,
    *,
    floor: tuple[str, ...] = (),
    blocking: bool = True,
) -> tuple[Row, ...]:
    """Make the rows of one kind of work of Socket.IO clients: for asyncio, and blocking."""

    def row(suffix: str, who: str, peers: tuple[str, ...]) -> Row:
        return Row(
            name + suffix,
            f"{who}: {title}",
            Kind.CLIENT,
            (*floor, *peers),
            ("--mode", mode),
            baseline=peers[1],
            counted=counted,
            reach_ratio=0.2,
            reach_ahead=True,
            against="c-socketio",
        )

    rows: tuple[Row, ...] = (row("", "Socket.IO client", CLIENTS),)
    if blocking:
        rows += (row("-blocking", "Socket.IO client, blocking", BLOCKING),)
    return rows


ROWS = (
    Row("echo-32-1", "echo 32 B, 100 connections, 1 in flight", Kind.LOAD, CALLBACK, SMALL,
        reach_ratio=1.3),
    Row("echo-32-1-coroutine", "the same, coroutine API", Kind.LOAD, COROUTINE, SMALL,
        reach_ratio=1.7),
    Row("echo-32-16", "echo 32 B, 16 in flight", Kind.LOAD, CALLBACK,
        (*SMALL, "--depth", "16"), reach_ratio=2),
    Row("echo-32-16-coroutine", "the same, coroutine API", Kind.LOAD, COROUTINE,
        (*SMALL, "--depth", "16"), reach_ratio=5),
    Row("echo-8k-1", "echo 8 KiB, 1 in flight", Kind.LOAD, CALLBACK, EIGHT_KIB, reach_ratio=1.4),
    Row("echo-256k", "echo 256 KiB binary, 1 in flight", Kind.LOAD, CALLBACK,
        ("echo", "--connections", "100", "--size", "262144", "--binary"), reach_ratio=1.3),
    Row("connect", "connect, handshake, close", Kind.LOAD, CALLBACK, ("connect",),
        reach_ratio=2.5, counted="connection"),
    Row("idle", "memory of an idle connection", Kind.MEMORY, CALLBACK,
        ("idle", "--connections", "5000"), reach_value=2048),
    Row("starlette", "Starlette echo 32 B, 1 in flight", Kind.LOAD, ASGI, SMALL, reach_ratio=3),
    Row("starlette-16", "the same, 16 in flight", Kind.LOAD, ASGI, (*SMALL, "--depth", "16")),
    Row("tls-32", "echo over TLS, 32 B, 1 in flight", Kind.LOAD, OVER_TLS, SMALL, tls=True,
        reach_ahead=True),
    Row("tls-8k", "echo over TLS, 8 KiB, 1 in flight", Kind.LOAD, OVER_TLS, EIGHT_KIB, tls=True,
        reach_ahead=True),
    Row("client", "blocking client, round trip of 32 B", Kind.CLIENT,
        ("socket", "duplexio-sync", "websocket-client", "websockets-sync"), ("--size", "32"),
        baseline="socket", reach_ahead=True, counted="round trip"),
    Row("deflate", "JSON through permessage-deflate", Kind.DEFLATE,
        ("websockets-deflate", "duplexio-deflate"), ("--bytes", "20e6"),
        baseline="websockets-deflate", reach_ahead=True, full_arguments=("--bytes", "1e9")),
    Row("sio-ack-1", "Socket.IO: emit with ack, 1 in flight", Kind.LOAD, SOCKETIO, ("ack",),
        baseline="c-socketio", reach_ratio=1.9),
    Row("sio-ack-16", "Socket.IO: emit with ack, 16 in flight", Kind.LOAD, SOCKETIO,
        ("ack", "--depth", "16"), baseline="c-socketio", reach_ratio=7),
    Row("sio-echo-1", "Socket.IO: event echo, 1 in flight", Kind.LOAD, SOCKETIO,
        ("echo", "--socketio"), baseline="c-socketio", reach_ratio=1.9),
    Row("sio-echo-16", "Socket.IO: event echo, 16 in flight", Kind.LOAD, SOCKETIO,
        ("echo", "--socketio", "--depth", "16"), baseline="c-socketio", reach_ratio=7),
    Row("sio-broadcast", "Socket.IO: broadcast to 1,000", Kind.LOAD, SOCKETIO,
        ("broadcast", "--connections", "1000"), baseline="c-socketio", reach_ratio=1.5,
        counted="delivery"),
    Row("sio-polling", "Socket.IO: event echo over long polling", Kind.LOAD, SOCKETIO[1:],
        ("echo", "--socketio", "--polling"), baseline="node-socketio", reach_ratio=0.5),
    Row("sio-connect", "Socket.IO: connect, connect to the namespace, close", Kind.LOAD, SOCKETIO,
        ("connect", "--socketio"), baseline="c-socketio", reach_ratio=3, counted="connection"),
    Row("sio-idle", "Socket.IO: memory of an idle client in two rooms", Kind.MEMORY, SOCKETIO,
        ("idle", "--socketio", "--connections", "5000"), baseline="c-socketio", reach_value=4096,
        server=("--in-two-rooms",)),
    *_client_rows("sio-client-ack", "emit with ack, 1 in flight", "ack", "round trip",
        floor=("socket-socketio",)),
    *_client_rows("sio-client-ack-16", "emit with ack, 16 in flight", "acks", "round trip",
        blocking=False),
    *_client_rows("sio-client-event", "events received, in bursts of 16", "event", "event"),
    *_client_rows("sio-client-connect", "connect and disconnect", "connect", "connection"),
    Row("sio-client-idle", "Socket.IO clients: memory of an idle one of 1,000",
        Kind.CLIENT_MEMORY, (*CLIENTS[:2], *BLOCKING), ("--mode", "idle"),
        baseline="python-socketio-client", reach_ahead=True, against="c-socketio"),
)  # fmt: skip


def _grow(
    series: Series,
    points: tuple[int | str, ...],
    arguments: tuple[str, ...],
    server: tuple[str, ...] = (),
    *,
    peers: tuple[str, ...] = ("c-socketio", "duplexio-socketio", "node-socketio"),
    counted: str = "message",
) -> tuple[Row, ...]:
    """Make the rows of a series: each point takes the place of {} in the arguments."""
    return tuple(
        Row(
            f"{series.name}-{point}",
            f"{series.title}: {point:,}" if isinstance(point, int) else f"{series.title}: {point}",
            Kind.LOAD,
            peers,
            tuple(argument.format(point) for argument in arguments),
            baseline=peers[0],
            counted=counted,
            server=tuple(argument.format(point) for argument in server),
            series=series,
            point=str(point),
        )
        for point in points
    )


SIZES = (64, 1_000, 16_000, 128_000, 1_000_000)

GROWTH = (
    *_grow(Series("sio-rooms", "emit to a room of 10 of 1,000 clients", "rooms"),
        (1, 100, 10_000, 100_000), ("rooms", "--connections", "1000"), ("--rooms", "{}"),
        counted="delivery"),
    *_grow(Series("sio-held", "event echo, 100 clients talk", "clients connected"),
        (100, 1_000, 5_000, 15_000),
        ("echo", "--socketio", "--connections", "{}", "--talking", "100")),
    *_grow(Series("sio-audience", "broadcast to all", "clients"),
        (100, 1_000, 5_000, 15_000), ("broadcast", "--connections", "{}"), counted="delivery"),
    *_grow(Series("sio-json", "event echo, JSON", "bytes"),
        SIZES, ("echo", "--socketio", "--connections", "16", "--size", "{}")),
    *_grow(Series("sio-binary", "event echo, binary", "bytes"),
        SIZES, ("echo", "--socketio", "--connections", "16", "--size", "{}", "--binary")),
    *_grow(Series("sio-suspend", "emit with ack, handlers that suspend once", "in flight"),
        (1, 16), ("ack", "--depth", "{}"), ("--handlers", "suspend"),
        peers=("c-socketio", "duplexio-socketio", "node-socketio", "python-socketio")),
    *_grow(Series("sio-typed", "emit with ack, typed against untyped events", "in flight"),
        (1, 16), ("ack", "--depth", "{}"),
        peers=("c-socketio", "duplexio-socketio", "duplexio-socketio-typed")),
    Row("sio-latency", "Socket.IO: latency of an ack, 100 connections", Kind.LATENCY,
        ("c-socketio", "duplexio-socketio", "node-socketio"), ("ack",), baseline="node-socketio"),
)  # fmt: skip
"""How the cost grows, and latency: measured with --growth."""
