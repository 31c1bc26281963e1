"""How connections read and write: the cork, the turn of the loop, fairness, shared buffers."""

import asyncio

import pytest

from duplexio.websocket.connection import Connection
from duplexio.websocket.driver import CORK_LIMIT, FAIR_COUNT, PATIENCE
from duplexio.websocket.frames import Opcode, State
from duplexio.websocket.listener import Listener, ListenerConnection
from duplexio.websocket.loopstate import READ_BUFFER, LoopState, loop_state
from duplexio.websocket.options import Options
from duplexio.websocket.stream import StreamConnection
from tests.websocket.raw import close_payload, masked, unmasked


class Transport:
    """A transport that notes what is done with it; it takes all that is written, until `full`."""

    def __init__(self):
        self.calls = []
        self.protocol = None
        self.full = False
        self.waiting = 0
        self.limit = 0

    @property
    def written(self):
        return b"".join(call[1] for call in self.calls if call[0] == "write")

    @property
    def writes(self):
        return [call[1] for call in self.calls if call[0] == "write"]

    def get_extra_info(self, name):
        return None

    def set_write_buffer_limits(self, high):
        self.limit = high

    def get_write_buffer_size(self):
        return self.waiting

    def write(self, data):
        self.calls.append(("write", bytes(data)))
        if self.full:
            self.waiting += len(data)
            if self.waiting > self.limit:
                self.protocol.pause_writing()

    def drain(self):
        """Let the peer read."""
        self.full = False
        self.waiting = 0
        self.protocol.resume_writing()

    def pause_reading(self):
        self.calls.append(("pause_reading",))

    def resume_reading(self):
        self.calls.append(("resume_reading",))

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.calls.append(("write_eof",))

    def is_closing(self):
        return any(call[0] in ("close", "abort") for call in self.calls)

    def close(self):
        self.calls.append(("close",))

    def abort(self):
        self.calls.append(("abort",))


class Echo(Listener):
    def on_message(self, ws, message):
        ws.send(message)


def make(kind=Echo, state=None, **options):
    """An open server connection on a transport that notes its calls."""
    state = state or loop_state(asyncio.get_running_loop())
    settings = Options(**{"ping_interval": None, **options})
    if issubclass(kind, Listener):
        driver = ListenerConnection(state, settings, kind)
    else:
        driver = kind(state, settings)
    transport = Transport()
    transport.protocol = driver
    driver.connection_made(transport)
    driver.start(Connection(driver))
    return driver, transport


def put(driver, data):
    """Let bytes arrive, as a transport does."""
    while data:
        buffer = driver.get_buffer(-1)
        count = min(len(buffer), len(data))
        buffer[:count] = data[:count]
        driver.buffer_updated(count)
        data = data[count:]


async def turn():
    await asyncio.sleep(0)


class TestWriting:
    async def test_what_is_sent_in_a_read_goes_out_in_one_write(self):
        driver, transport = make()
        put(driver, b"".join(masked(Opcode.TEXT, b"%d" % i) for i in range(10)))
        assert transport.writes == [b"".join(unmasked(Opcode.TEXT, b"%d" % i) for i in range(10))]

    async def test_what_is_sent_elsewhere_goes_out_at_the_end_of_the_turn(self):
        driver, transport = make()
        driver.send("a")
        driver.send("b")
        assert transport.writes == []
        await turn()
        assert transport.writes == [unmasked(1, b"a") + unmasked(1, b"b")]

    async def test_much_goes_out_at_once(self):
        driver, transport = make()
        driver.send(b"x" * CORK_LIMIT)
        assert len(transport.writes) == 1
        put(driver, masked(Opcode.BINARY, b"y" * CORK_LIMIT) + masked(Opcode.TEXT, b"z"))
        assert b"".join(transport.writes[1:]) == (
            unmasked(2, b"y" * CORK_LIMIT) + unmasked(1, b"z")
        )

    async def test_order_when_both_mix(self):
        driver, transport = make()
        driver.send("before")
        put(driver, masked(Opcode.TEXT, b"in") + masked(Opcode.PING, b"p"))
        driver.send("after")
        await turn()
        assert transport.written == (
            unmasked(1, b"before") + unmasked(1, b"in") + unmasked(10, b"p")
            + unmasked(1, b"after")
        )  # fmt: skip

    async def test_sending_on_another_connection_in_a_read(self):
        other, other_transport = make()

        class Relay(Listener):
            def on_message(self, ws, message):
                other.send(message)

        driver, transport = make(Relay)
        put(driver, masked(Opcode.TEXT, b"a") + masked(Opcode.TEXT, b"b"))
        assert other_transport.writes == []
        await turn()
        assert other_transport.writes == [unmasked(1, b"a") + unmasked(1, b"b")]
        assert transport.writes == []

    async def test_while_the_transport_takes_no_more(self):
        driver, transport = make(write_limit=0)
        transport.full = True
        driver.send("first")
        await turn()
        driver.send("second")
        put(driver, masked(Opcode.TEXT, b"third") + masked(Opcode.PING, b"p"))
        await turn()
        assert transport.written == unmasked(1, b"first")
        assert driver.buffered_bytes > len(transport.written)
        transport.drain()
        assert transport.written == b"".join(
            (unmasked(1, b"first"), unmasked(1, b"second"), unmasked(1, b"third"),
             unmasked(10, b"p"))
        )  # fmt: skip
        assert driver.buffered_bytes == 0

    async def test_a_pong_after_the_turns_output_went_out_in_the_middle_of_a_read(self):
        # The answer to a ping must not go into an output that was written already.
        driver, transport = make()
        driver.send("x")
        put(driver, masked(Opcode.BINARY, b"y" * CORK_LIMIT) + masked(Opcode.PING, b"p"))
        await turn()
        assert transport.written == (
            unmasked(1, b"x") + unmasked(2, b"y" * CORK_LIMIT) + unmasked(10, b"p")
        )

    async def test_nothing_is_written_once_it_is_aborted(self):
        driver, transport = make()
        driver.send("x")
        driver.abort()
        await turn()
        assert transport.calls == [("abort",)]
        driver.connection_lost(None)
        driver.connection_lost(None)
        await turn()
        assert transport.calls == [("abort",)]

    async def test_an_exception_from_below_leaves_the_cork_free(self):
        class Raising(Listener):
            def on_message(self, ws, message):
                raise KeyboardInterrupt

        driver, _ = make(Raising)
        with pytest.raises(KeyboardInterrupt):
            put(driver, masked(Opcode.TEXT, b"x"))
        other, transport = make()
        put(other, masked(Opcode.TEXT, b"y"))
        assert transport.writes == [unmasked(1, b"y")]


class TestReading:
    async def test_idle_connections_share_one_buffer(self):
        one, _ = make()
        two, _ = make()
        first, second = one.get_buffer(-1), two.get_buffer(-1)
        assert len(first) == len(second) == READ_BUFFER
        first[0] = 7
        second[0] = 8
        assert first[0] == 8

    async def test_a_message_in_part_survives_the_reads_of_others(self):
        one, one_transport = make()
        two, two_transport = make()
        message = masked(Opcode.TEXT, b"hello")
        for i in range(len(message)):
            put(one, message[i : i + 1])
            put(two, masked(Opcode.TEXT, b"%d" % i))
        assert one_transport.written == unmasked(1, b"hello")
        assert len(two_transport.writes) == len(message)

    async def test_a_large_message_is_read_into_its_own_memory(self):
        driver, transport = make()
        message = masked(Opcode.BINARY, b"x" * 500_000)
        put(driver, message[:100])
        assert len(driver.get_buffer(-1)) != READ_BUFFER
        driver.buffer_updated(0)
        put(driver, message[100:])
        assert transport.written == unmasked(2, b"x" * 500_000)

    async def test_memory_is_a_view(self):
        # asyncio's TLS reads into slices of it, and those of a bytearray would be copies.
        driver, _ = make()
        assert isinstance(driver.get_buffer(-1), memoryview)

    async def test_reads_that_stay_outstanding_have_a_buffer_each(self):
        class ProactorLike:
            """A loop whose reads are begun before the last one is over."""

            def __init__(self, loop):
                self._proactor = object()
                self._loop = loop

            def __getattr__(self, name):
                return getattr(self._loop, name)

        state = LoopState(ProactorLike(asyncio.get_running_loop()))
        made = [make(state=state) for _ in range(5)]
        frames = [masked(Opcode.TEXT, b"%d" % i * 10) for i in range(5)]
        # All reads have begun before the first is handled.
        buffers = [driver.get_buffer(-1) for driver, _ in made]
        for buffer, frame in zip(buffers, frames, strict=True):
            buffer[: len(frame)] = frame
        for (driver, _), frame in zip(made, frames, strict=True):
            driver.buffer_updated(len(frame))
        for i, (_, transport) in enumerate(made):
            assert transport.written == unmasked(1, b"%d" % i * 10)
        for driver, _ in made:
            driver.connection_lost(None)
        assert not state.private

    async def test_a_flood_lets_others_run(self):
        loop = asyncio.get_running_loop()

        class Slow(Listener):
            count = 0

            def on_message(self, ws, message):
                type(self).count += 1
                end = loop.time() + 0.0001
                while loop.time() < end:
                    pass

        driver, transport = make(Slow)
        put(driver, masked(Opcode.TEXT, b"x") * 1000)
        handled = Slow.count
        assert FAIR_COUNT <= handled < 1000
        assert ("pause_reading",) in transport.calls
        turns = 0
        while Slow.count < 1000:
            await turn()
            turns += 1
            assert turns < 1000
        await turn()
        assert turns > 2
        assert transport.calls[-1] == ("resume_reading",)

    async def test_what_arrives_while_reading_is_paused_waits(self):
        driver, transport = make()
        driver.pause_reading()
        put(driver, masked(Opcode.TEXT, b"a"))
        put(driver, masked(Opcode.TEXT, b"b"))
        assert transport.writes == []
        driver.resume_reading()
        await turn()
        assert transport.written == unmasked(1, b"a") + unmasked(1, b"b")


class TestHandlerInPlace:
    async def conversation(self, call):
        driver, transport = make(StreamConnection)

        async def echo():
            async for message in driver:
                await driver.send(message)

        task = asyncio.ensure_future(echo())
        await turn()
        call(put, driver, b"".join(masked(Opcode.TEXT, b"%d" % i) for i in range(5)))
        await turn()
        writes = transport.writes.copy()
        await turn()
        call(put, driver, masked(Opcode.CLOSE, close_payload(1000)))
        await turn()
        driver.connection_lost(None)
        await task
        return writes, transport.writes[:-1]

    async def test_a_waiting_task_answers_within_the_read(self):
        writes, all_writes = await self.conversation(asyncio.get_running_loop().call_soon)
        assert writes == all_writes == [b"".join(unmasked(1, b"%d" % i) for i in range(5))]

    async def test_bytes_that_a_transport_delivers_inside_of_a_task(self):
        # asyncio refuses to run a task inside of another: it goes on in the next turn.
        _, writes = await self.conversation(lambda function, *arguments: function(*arguments))
        assert b"".join(writes) == b"".join(unmasked(1, b"%d" % i) for i in range(5))

    async def test_early_data_inside_of_a_task(self):
        # The opening handshake may end in a task, when process_request is a coroutine function;
        # a message must not run another task inside of it.
        state = loop_state(asyncio.get_running_loop())
        driver = StreamConnection(state, Options(ping_interval=None))
        driver.connection_made(Transport())
        seen = []

        async def receive():
            seen.append(asyncio.current_task())
            seen.append(await driver.recv())
            seen.append(asyncio.current_task())

        driver.start(Connection(driver), masked(Opcode.TEXT, b"early"))
        task = asyncio.ensure_future(receive())
        await task
        assert seen == [task, "early", task]


class TestEnding:
    async def test_the_server_closes_when_the_peer_has_said_so(self):
        driver, transport = make()
        put(driver, masked(Opcode.TEXT, b"x") + masked(Opcode.CLOSE, close_payload(1001)))
        assert transport.calls == [
            ("write", unmasked(1, b"x") + unmasked(8, close_payload(1001))), ("close",),
        ]  # fmt: skip

    async def test_the_client_leaves_that_to_the_server(self):
        state = loop_state(asyncio.get_running_loop())
        driver = StreamConnection(state, Options(ping_interval=None))
        transport = Transport()
        driver.connection_made(transport)
        driver.start(Connection(driver, client=True, mask_keys=state.mask_keys))
        put(driver, unmasked(Opcode.CLOSE, close_payload(1001)))
        assert [call[0] for call in transport.calls] == ["write"]
        assert driver.state == State.CLOSING
        driver.connection_lost(None)

    async def test_a_failure_closes_our_half_only(self):
        # Closing at once could reset the connection before the peer has read why.
        driver, transport = make()
        put(driver, masked(Opcode.TEXT, b"\xff"))
        assert [call[0] for call in transport.calls] == ["write", "write_eof"]
        put(driver, masked(Opcode.TEXT, b"ignored"))
        assert [call[0] for call in transport.calls] == ["write", "write_eof"]

    async def test_a_failure_while_reading_is_paused_reads_on(self):
        driver, transport = make()
        driver.pause_reading()
        driver.connection.output = driver.loop_state.cork
        driver.connection.fail(1011, "enough")
        await turn()
        assert transport.calls[-1] == ("resume_reading",)

    async def test_what_waits_is_handed_to_the_transport_before_it_is_closed(self):
        driver, transport = make(write_limit=0)
        transport.full = True
        driver.send("first")
        await turn()
        driver.send("second")
        put(driver, masked(Opcode.CLOSE, close_payload(1000)))
        assert transport.written == (
            unmasked(1, b"first") + unmasked(1, b"second") + unmasked(8, close_payload(1000))
        )
        assert transport.calls[-1] == ("close",)


class TestDeadlines:
    """Called as the wheel calls, with a time and a lag of the test's choice."""

    def keepalive(self, **options):
        driver, transport = make(ping_interval=20, ping_timeout=20, **options)
        driver.on_due(20.0, 0.0)
        return driver, transport

    async def test_a_ping_then_the_end(self):
        driver, transport = self.keepalive()
        await turn()
        assert transport.written == unmasked(9, b"keepalive")
        driver.on_due(40.0, 0.0)
        await turn()
        assert transport.written.endswith(
            unmasked(8, close_payload(1011, "keepalive ping timeout"))
        )
        driver.on_due(50.0, 0.0)
        assert transport.calls[-1] == ("abort",)

    async def test_a_pong_in_time(self):
        driver, transport = self.keepalive()
        put(driver, masked(Opcode.PONG, b"keepalive"))
        assert driver.latency > 0
        driver.on_due(40.0, 0.0)
        await turn()
        assert transport.written == unmasked(9, b"keepalive") * 2

    async def test_a_loop_that_was_blocked(self):
        driver, _ = self.keepalive()
        for _ in range(PATIENCE):
            driver.on_due(40.0, 1.0)
            assert driver.state == State.OPEN
        driver.on_due(40.0, 1.0)
        assert driver.state == State.CLOSING

    async def test_reading_that_was_paused_meanwhile(self):
        driver, _ = self.keepalive()
        driver.pause_reading()
        driver.resume_reading()
        await turn()
        driver.on_due(40.0, 0.0)  # the pong may stand behind what was not read in time
        assert driver.state == State.OPEN
        driver.on_due(60.0, 0.0)
        assert driver.state == State.CLOSING

    async def test_reading_that_stays_paused(self):
        driver, _ = self.keepalive()
        driver.pause_reading()
        for _ in range(PATIENCE):
            driver.on_due(40.0, 0.0)
            assert driver.state == State.OPEN
        driver.on_due(40.0, 0.0)
        assert driver.state == State.CLOSING

    async def test_patience_begins_anew_with_each_ping(self):
        driver, _ = self.keepalive()
        for _ in range(3):
            for _ in range(PATIENCE):
                driver.on_due(40.0, 1.0)
            put(driver, masked(Opcode.PONG, b"keepalive"))
            driver.on_due(40.0, 0.0)
            assert driver.state == State.OPEN
