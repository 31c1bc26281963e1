"""A client and our server without sockets, on lines that break at any moment: what is promised.

Messages are in flight in both directions; a break loses those that have not arrived.
"""

import asyncio
from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from duplexio.socketio import AsyncServer
from tests.socketio.client_fakes import Future, Player
from tests.socketio.fakes import Peer


class Line:
    """A client at a server, on a line that the test runs."""

    def __init__(self, server, player):
        self.server = server
        self.player = player
        self.peer = None
        self.up = deque()
        self.down = deque()

    def connect(self):
        self.peer = Peer(self.server)
        self.up.clear()
        self.down.clear()
        player = self.player
        self.up.extend(player.open())

    @property
    def connected(self):
        return self.player.session is not None and not self.player.session.over

    def collect(self):
        self.up.extend(self.player.take())

    def move_up(self, count):
        """Let messages arrive at the server."""
        self.collect()
        for _ in range(min(count, len(self.up))):
            self.peer.send(self.up.popleft())
        self.down.extend(self.peer.take())

    def move_down(self, count):
        """Let messages arrive at the client."""
        for _ in range(min(count, len(self.down))):
            if self.connected:
                self.player.get(self.down.popleft())
        self.collect()

    def cut(self):
        self.collect()
        if self.connected:
            self.player.lose()
        self.peer.vanish()

    def settle(self):
        if not self.connected:
            self.connect()
        for _ in range(1000):
            before = (len(self.up), len(self.down), len(self.player.session.sent))
            self.move_up(100)
            self.move_down(100)
            if before == (0, 0, 0):
                return


STEPS = st.lists(
    st.one_of(
        st.just(("emit",)),
        st.just(("connect",)),
        st.just(("cut",)),
        st.tuples(st.just("up"), st.integers(1, 4)),
        st.tuples(st.just("down"), st.integers(1, 4)),
        st.tuples(st.just("wait"), st.sampled_from([1.0, 6.0])),
    ),
    max_size=60,
)


def run(steps, **options):
    """Run a schedule; return what the server has handled, the answers, and the line."""

    async def main():
        server = AsyncServer()
        handled = []

        @server.on("n")
        async def handle(sid, number):
            if number % 3 == 0:
                await asyncio.sleep(0)  # its answer comes later, maybe on another connection
            handled.append(number)
            return number

        player = Player(**options)
        line = Line(server, player)
        line.connect()
        futures = []
        for step in [*steps, ("settle",), ("settle",)]:
            if step[0] == "emit":
                futures.append(Future())
                player.emit("n", len(futures) - 1, callback=futures[-1])
            elif step[0] == "connect" and not line.connected:
                line.connect()
            elif step[0] == "cut" and line.connected:
                line.cut()
            elif step[0] == "up" and line.connected:
                line.move_up(step[1])
            elif step[0] == "down" and line.connected:
                line.move_down(step[1])
            elif step[0] == "wait":
                player.loop.advance(step[1])
            elif step[0] == "settle":
                line.settle()
            for _ in range(3):
                await asyncio.sleep(0)
        for _ in range(5):
            line.settle()
            await asyncio.sleep(0)
        return handled, futures, line

    return asyncio.run(main())


def check_clean(line):
    assert line.player.is_clean()
    line.player.leave()
    assert line.player.is_clean()


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_an_emit_that_is_retried_has_its_effect_once(steps):
    handled, futures, line = run(steps, retries=1000, ack_timeout=5.0)
    assert sorted(handled) == list(range(len(futures)))
    # Handlers begin in order; one that suspends ends later.
    assert [n for n in handled if n % 3] == [n for n in range(len(futures)) if n % 3]
    assert [future.result for future in futures] == [[n] for n in range(len(futures))]
    check_clean(line)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_an_emit_that_is_not_retried_has_its_effect_at_most_once(steps):
    handled, futures, line = run(steps)
    assert len(set(handled)) == len(handled)
    in_place = [n for n in handled if n % 3]
    assert in_place == sorted(in_place)
    for number, future in enumerate(futures):
        # Whoever waits is told something, and only the truth.
        assert future.done()
        assert future.error is not None or (future.result == [number] and number in handled)
    check_clean(line)


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_a_few_retries(steps):
    handled, futures, line = run(steps, retries=2, ack_timeout=5.0)
    assert len(set(handled)) == len(handled)
    for number, future in enumerate(futures):
        assert future.done()
        assert future.error is not None or (future.result == [number] and number in handled)
    check_clean(line)


def test_the_application_is_not_told_of_the_deliveries():
    server = AsyncServer()
    seen = []
    server.on("connect", lambda sid, environ, auth: seen.append(auth))

    async def main():
        for auth in (None, {"t": 1}):
            player = Player(retries=1)
            line = Line(server, player)
            line.peer = Peer(server)
            line.up.extend(player.open(auth))
            line.settle()
            assert player.space.reliable.deduplicates

    asyncio.run(main())
    assert seen == [None, {"t": 1}]


def test_what_a_handler_fails_at_is_handled_again():
    async def main():
        server = AsyncServer()
        calls = []

        @server.on("n")
        def handle(sid, number):
            calls.append(number)
            if len(calls) == 1:
                raise ValueError
            return "ok"

        player = Player(retries=3, ack_timeout=5.0)
        line = Line(server, player)
        line.connect()
        future = Future()
        player.emit("n", 1, callback=future)
        line.settle()
        player.loop.advance(5.1)
        line.settle()
        assert calls == [1, 1]
        assert future.result == ["ok"]

    asyncio.run(main())
