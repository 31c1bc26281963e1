"""Clients of python-socketio, of the version that PYTHONPATH has: as socketio_client.cjs.

    python socketio_client.py check KIND URL TRANSPORTS [SERIALIZER]
    python socketio_client.py hold KIND URL

KIND is `async` or `blocking`.
"""

import asyncio
import collections
import contextlib
import inspect
import itertools
import json
import sys
import traceback
import urllib.parse
import uuid

import socketio

#: Version 4, which speaks Engine.IO 3.
OLD = "auth" not in inspect.signature(socketio.Client.connect).parameters
EVENTS = ("connect", "welcome", "echo", "number", "said", "connect_error", "disconnect")
RUN = uuid.uuid4().hex
tokens = itertools.count()


def show(*event):
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


class Peer:
    """A client of either kind, with coroutines for methods."""

    def __init__(self, kind, url, transports, namespaces=("/",), **options):
        self.kind = kind
        self.url = url
        self.transports = transports
        self.namespaces = list(namespaces)
        self.loop = asyncio.get_running_loop()
        self.received = collections.defaultdict(asyncio.Queue)
        if kind == "async":
            self.client = socketio.AsyncClient(**options)
        else:
            self.client = socketio.Client(**options)
        for namespace in self.namespaces:
            for event in EVENTS:
                self.client.on(event, self.receiver(event, namespace), namespace=namespace)
            self.client.on("question", lambda *args: args[::-1], namespace=namespace)

    def receiver(self, event, namespace):
        queue = self.received[event, namespace]

        def receive(*args):
            # It runs in a thread of its own where the client is the blocking one.
            self.loop.call_soon_threadsafe(queue.put_nowait, args)

        return receive

    async def run(self, method, *args, **kwargs):
        if self.kind == "async":
            return await method(*args, **kwargs)
        return await asyncio.to_thread(method, *args, **kwargs)

    async def connect(self, auth=None, **query):
        self.token = f"{RUN}-{next(tokens)}"
        words = urllib.parse.urlencode({"token": self.token, **query})
        options = {"transports": self.transports, "namespaces": self.namespaces}
        if OLD:
            words = urllib.parse.urlencode({"token": self.token, **query, **(auth or {})})
        else:
            options["auth"] = auth
        await self.run(self.client.connect, f"{self.url}?{words}", **options)
        return self

    async def connected(self):
        """Wait for the namespaces, which the old clients do not."""
        for namespace in self.namespaces:
            await self.next("connect", namespace)
        return self

    async def emit(self, event, *args, namespace="/"):
        await self.run(self.client.emit, event, args, namespace=namespace)

    async def ask(self, event, *args, namespace="/"):
        """Emit, and return the acknowledgement as a list."""
        call = self.client.call
        answer = await self.run(call, event, args, namespace=namespace, timeout=15)
        return [] if answer is None else list(answer) if isinstance(answer, tuple) else [answer]

    async def next(self, event, namespace="/"):
        return list(await asyncio.wait_for(self.received[event, namespace].get(), 15))

    async def close(self):
        await self.run(self.client.disconnect)


def equal(got, wanted):
    assert got == wanted, f"got {got!r:.300}, expected {wanted!r:.300}"


TEXTS = ["", "é€😀", "\u2028\u2029\0\\n\n\"'", "x" * 20000, "漢字", "\x1e1:2"]
JSON: dict[str, object] = {
    "a": [1, 2.5, -3, True, None, {"b": {}}],
    "": "",
    "ключ": "значение",
    "e": [],
}


class Checks:
    """What is tried, by the names that socketio_checks.cjs has for it."""

    def __init__(self, kind, url, transports, **options):
        self.kind = kind
        self.url = url
        self.transports = transports
        self.options = options
        self.peers = []

    def create(self, *namespaces, **options):
        namespaces = namespaces or ("/",)
        options = {"reconnection": False, **self.options, **options}
        peer = Peer(self.kind, self.url, self.transports, namespaces, **options)
        self.peers.append(peer)
        return peer

    async def open(self, *namespaces, **query):
        peer = await self.create(*namespaces).connect(**query)
        return await peer.connected()

    async def events(self):
        peer = await self.open()
        # The new ones go on to a WebSocket before they connect.
        first = self.transports[0 if OLD else -1]
        equal(await peer.next("welcome"), [{"transport": first}])
        for args in ([], [1], ["a", "b"], [JSON, [JSON], None, 0, False]):
            await peer.emit("echo", *args)
            equal(await peer.next("echo"), args)
        equal(await peer.ask("transport"), [self.transports[-1]])

    async def unicode(self):
        peer = await self.open()
        for text in TEXTS:
            await peer.emit("echo", text, {text: text})
            equal(await peer.next("echo"), [text, {text: text}])
            equal(await peer.ask("codes", text), [[ord(letter) for letter in text]])

    async def acks(self):
        peer = await self.open()
        equal(await peer.ask("ack"), [])
        equal(await peer.ask("ack", 1), [1])
        equal(await peer.ask("ack", JSON, "two", None), [JSON, "two", None])
        for event in ("ask", "ask_by_callback"):
            equal(await peer.ask(event, 1), [1])
            equal(await peer.ask(event, 1, "zwei", {"three": 3}), [{"three": 3}, "zwei", 1])

    async def binary(self):
        peer = await self.open()
        large = bytes(index % 256 for index in range(100000))
        sets = [
            [bytes([0, 1, 2, 255, 4, 30])],
            [b"0" if OLD else b""],  # the old ones take b"" for None
            [{"a": [b"1", {"b": b"23"}], "c": "text"}, b"4", 5],
            [large, "between", {"large": large}],
            [bytes([index]) for index in range(10)],
        ]
        for args in sets:
            await peer.emit("echo", *args)
            equal(await peer.next("echo"), args)
            equal(await peer.ask("ack", *args), args)
            equal(await peer.ask("ask", *args), args[::-1])

    async def namespaces(self):
        peer = await self.open("/", "/admin", "/room-17", auth={"key": "secret"})
        equal(await peer.ask("ack", 1, namespace="/admin"), ["admin", 1])
        equal(await peer.ask("ack", b"1", namespace="/room-17"), ["/room-17", b"1"])
        equal(await peer.ask("ack", 2), [2])
        await peer.emit("kick", namespace="/admin")
        await peer.next("disconnect", "/admin")
        equal(await peer.ask("ack", namespace="/room-17"), ["/room-17"])
        equal(await peer.ask("ack", 3), [3])

    async def refusals(self):
        for namespace, options, expected in (
            ("/", {"refuse": 1}, ("not today", {"code": 7, "words": ["a", "é"]})),
            ("/admin", {"auth": {"key": "wrong"}}, ("who are you?", {"code": 401})),
            ("/closed", {}, ("Connection rejected by server", None)),
            ("/nowhere", {}, ("Invalid namespace", None)),
        ):
            peer = self.create(namespace)
            try:
                await peer.connect(**options)
            except socketio.exceptions.ConnectionError:
                assert not OLD or namespace == "/"
            message, data = expected
            answer = {"message": message} if data is None else {"message": message, "data": data}
            if OLD:
                answer = message if data is None else data
            if not OLD or namespace != "/":
                equal(await peer.next("connect_error", namespace), [answer])
            await peer.close()

    async def rooms(self):
        a, b, c = members = [await self.open() for _ in range(3)]
        room = f"room {RUN} é"
        equal(await a.ask("join", room), [[room]])
        equal(await b.ask("join", room), [[room]])
        equal(await b.ask("join", room + "2"), [[room, room + "2"]])
        await c.ask("say", room, "to both", False)
        equal(await a.next("said"), ["to both"])
        equal(await b.next("said"), ["to both"])
        await a.ask("say", room, "but a", True)
        equal(await b.next("said"), ["but a"])
        equal(await b.ask("leave", room), [[room + "2"]])
        await c.ask("say", room, "to a", False)
        equal(await a.next("said"), ["to a"])
        await c.ask("say", [room, room + "2"], b"12", False)
        equal(await a.next("said"), [b"12"])
        equal(await b.next("said"), [b"12"])
        for member in members * 2:
            await member.ask("ack")
        assert all(member.received["said", "/"].empty() for member in members)

    async def reasons(self):
        witness = await self.open()
        kicked = await self.open()
        await kicked.emit("kick")
        equal(await kicked.next("disconnect"), [] if OLD else ["server disconnect"])
        equal(await witness.ask("why", kicked.token), ["server namespace disconnect"])
        leaving = await self.open()
        await leaving.close()
        if not OLD:
            equal(await leaving.next("disconnect"), ["client disconnect"])
        if OLD and self.transports == ["polling"]:
            return  # they tell the server nothing
        # Some end the connection before what they have to say of the namespace is on its way.
        reason = await witness.ask("why", leaving.token)
        assert reason in (["client namespace disconnect"], ["transport close"]), reason

    async def order(self):
        peer = self.create()
        await peer.connect()
        count = 300
        await peer.emit("flood", count)
        for number in range(count):
            await peer.emit("number", number)
        equal(await peer.ask("counted"), [list(range(count))])
        received = [await peer.next("number") for _ in range(count)]
        if self.kind == "blocking":
            received.sort()  # each handler runs in a thread of its own
        equal(received, [[number] for number in range(count)])


async def check(kind, url, transports, serializer=None):
    results = {}
    options = {} if serializer is None else {"serializer": serializer}
    checks = Checks(kind, url, transports.split(","), **options)
    names = [name for name in vars(Checks) if name not in ("create", "open") and name[0] != "_"]

    async def one(name):
        try:
            await getattr(checks, name)()
            results[name] = None
        except Exception:
            results[name] = traceback.format_exc()

    await asyncio.gather(*(one(name) for name in names))
    for peer in checks.peers:
        await peer.close()
    show(results)


async def hold(kind, url):
    version = 4 if OLD else 5
    peers = []
    for transports in (["polling"], ["websocket"], ["polling", "websocket"]):
        name = f"python {version} {kind}/{','.join(transports)}"
        peer = Peer(kind, url, transports, reconnection_delay=0.1, reconnection_delay_max=0.3)

        def told(event, name=name):
            return lambda *args: show(event, name, *args)

        for event in ("connect", "disconnect", "echo"):
            peer.client.on(event, told(event))
        await peer.run(
            peer.client.connect,
            f"{url}?token={urllib.parse.quote(name)}",
            transports=transports,
        )
        peers.append(peer)
    while line := await asyncio.to_thread(sys.stdin.readline):
        for peer in peers:
            # It may not be connected just now.
            with contextlib.suppress(socketio.exceptions.SocketIOError):
                await peer.emit("echo", line.strip())
    for peer in peers:
        await peer.close()


if __name__ == "__main__":
    asyncio.run(check(*sys.argv[2:]) if sys.argv[1] == "check" else hold(*sys.argv[2:]))
