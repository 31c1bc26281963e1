"""The coroutine interface, at the server's end, against a peer written by hand."""

import asyncio
import logging

import pytest

from duplexio.errors import UsageError
from duplexio.websocket import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidState,
)
from duplexio.websocket.driver import CORK_LIMIT
from duplexio.websocket.frames import Close, Opcode, State
from tests.websocket.raw import Raw, close_payload, masked, port_of, serving

LOOPS = ("asyncio", "uvloop")


class Meeting:
    """A connection of ours, and the peer at its other end."""

    def __init__(self, ws, raw, done):
        self.ws = ws
        self.raw = raw
        self._done = done

    async def end(self):
        """Let the handler return, and the peer go."""
        self._done.set()
        await self.raw.close()


@pytest.fixture
async def meet():
    """Call it with the options of `serve` to get a connection and its peer."""
    open_servers = []
    meetings = []

    async def make(*lines, behind=b"", **options):
        met = asyncio.get_running_loop().create_future()
        done = asyncio.Event()

        async def handler(ws):
            met.set_result(ws)
            await done.wait()

        manager = serving(handler, close_timeout=options.pop("close_timeout", 0.2), **options)
        server = await manager.__aenter__()
        open_servers.append(manager)
        raw = await Raw.open(port_of(server), *lines, behind=behind)
        meeting = Meeting(await met, raw, done)
        meetings.append(meeting)
        return meeting

    yield make
    for meeting in meetings:
        await meeting.end()
    for manager in open_servers:
        await manager.__aexit__(None, None, None)


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, 5)


async def turns(count=5):
    """Let the loop run a few turns."""
    for _ in range(count):
        await asyncio.sleep(0)


class TestRecv:
    async def test_text_and_binary(self, meet):
        m = await meet()
        m.raw.send(masked(Opcode.TEXT, "zwölf".encode()) + masked(Opcode.BINARY, b"\xff\x00"))
        assert await soon(m.ws.recv()) == "zwölf"
        assert await soon(m.ws.recv()) == b"\xff\x00"

    async def test_decode_chooses_the_type(self, meet):
        m = await meet()
        for _ in range(2):
            m.raw.send(masked(Opcode.TEXT, b"a") + masked(Opcode.BINARY, b"b"))
        assert [await soon(m.ws.recv(decode=True)) for _ in range(2)] == ["a", "b"]
        assert [await soon(m.ws.recv(decode=False)) for _ in range(2)] == [b"a", b"b"]

    async def test_binary_that_is_no_text_closes_with_1007(self, meet):
        m = await meet()
        m.raw.send(masked(Opcode.BINARY, b"\xff"))
        receiving = asyncio.ensure_future(m.ws.recv(decode=True))
        assert (await m.raw.read_close()).code == 1007
        await m.raw.close()
        with pytest.raises(ConnectionClosedError) as caught:
            await soon(receiving)
        assert caught.value.sent.code == 1007
        assert isinstance(caught.value.__cause__, UnicodeDecodeError)

    async def test_a_message_in_pieces_is_one_message(self, meet):
        m = await meet()
        m.raw.send(masked(Opcode.TEXT, b"on", fin=False))
        m.raw.send(masked(Opcode.PING, b"between") + masked(Opcode.CONT, b"e"))
        assert await soon(m.ws.recv()) == "one"
        assert (await m.raw.read_frame()).data == b"between"

    async def test_messages_that_came_before_the_end_are_not_lost(self, meet):
        m = await meet()
        m.raw.send(
            masked(Opcode.TEXT, b"a") + masked(Opcode.TEXT, b"b")
            + masked(Opcode.CLOSE, close_payload(1000))
        )  # fmt: skip
        await soon(m.ws.wait_closed())
        assert await m.ws.recv() == "a"
        assert await m.ws.recv() == "b"
        with pytest.raises(ConnectionClosedOK):
            await m.ws.recv()

    async def test_two_receivers_are_one_too_many(self, meet):
        m = await meet()
        first = asyncio.ensure_future(m.ws.recv())
        await turns()
        with pytest.raises(ConcurrencyError, match="already running recv"):
            await m.ws.recv()
        with pytest.raises(ConcurrencyError, match="already running recv"):
            await anext(m.ws)
        with pytest.raises(ConcurrencyError, match="already running recv"):
            await anext(m.ws.recv_streaming())
        m.raw.send(masked(Opcode.TEXT, b"x"))
        assert await soon(first) == "x"

    async def test_cancelling_loses_nothing(self, meet):
        m = await meet()
        received = []
        for i in range(40):
            receiving = asyncio.ensure_future(m.ws.recv())
            await turns(2)
            # The message arrives before the receiver is cancelled, in the same turn, or after.
            m.raw.send(masked(Opcode.TEXT, b"%d" % i, fin=False) + masked(Opcode.CONT, b"!"))
            await turns(i % 4)
            receiving.cancel()
            try:
                received.append(await receiving)
            except asyncio.CancelledError:
                pass
        received += [await soon(m.ws.recv()) for _ in range(40 - len(received))]
        assert received == [f"{i}!" for i in range(40)]

    async def test_a_time_limit_loses_nothing(self, meet):
        m = await meet()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await m.ws.recv()
        m.raw.send(masked(Opcode.TEXT, b"late"))
        assert await soon(m.ws.recv()) == "late"

    async def test_iteration_ends_with_a_normal_closure(self, meet):
        m = await meet()
        m.raw.send(masked(Opcode.TEXT, b"a") + masked(Opcode.CLOSE, close_payload(1001)))
        assert [message async for message in m.ws] == ["a"]

    async def test_iteration_raises_after_an_error(self, meet):
        m = await meet()
        m.raw.send(masked(Opcode.TEXT, b"a") + masked(Opcode.CLOSE, close_payload(1011, "oh")))
        received = []

        async def receive():
            async for message in m.ws:
                received.append(message)  # noqa: PERF401 - what came before the exception counts

        with pytest.raises(ConnectionClosedError) as caught:
            await soon(receive())
        assert received == ["a"]
        assert (caught.value.code, caught.value.reason) == (1011, "oh")

    async def test_a_reset_is_an_abnormal_closure_with_its_cause(self, meet):
        m = await meet()
        m.raw.abort()
        with pytest.raises(ConnectionClosedError) as caught:
            await soon(m.ws.recv())
        assert caught.value.code == 1006
        assert caught.value.rcvd is None
        assert caught.value.sent is None
        assert m.ws.close_code == 1006


class TestRecvStreaming:
    async def test_pieces(self, meet):
        m = await meet()
        streaming = m.ws.recv_streaming()
        pieces = []
        first = asyncio.ensure_future(anext(streaming))
        await turns()
        m.raw.send(masked(Opcode.TEXT, "ä".encode()[:1], fin=False))
        pieces.append(await soon(first))
        m.raw.send(masked(Opcode.CONT, "ä".encode()[1:] + b"b", fin=False))
        m.raw.send(masked(Opcode.CONT, b"c"))
        pieces += [piece async for piece in streaming]
        assert "".join(pieces) == "äbc"
        assert pieces[0] == ""  # half a character is none yet
        m.raw.send(masked(Opcode.BINARY, b"next"))
        assert await soon(m.ws.recv()) == b"next"

    async def test_a_whole_message_is_one_piece(self, meet):
        m = await meet()
        m.raw.send(masked(Opcode.BINARY, b"whole") + masked(Opcode.TEXT, b"after"))
        await turns()
        assert [piece async for piece in m.ws.recv_streaming()] == [b"whole"]
        assert [piece async for piece in m.ws.recv_streaming(decode=False)] == [b"after"]

    @pytest.mark.parametrize("decode", [None, True, False])
    @pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
    async def test_decode(self, meet, opcode, decode):
        m = await meet()
        streaming = m.ws.recv_streaming(decode=decode)
        first = asyncio.ensure_future(anext(streaming))
        await turns()
        m.raw.send(masked(opcode, b"a", fin=False) + masked(Opcode.CONT, b"b"))
        pieces = [await soon(first), *[piece async for piece in streaming]]
        text = decode if decode is not None else opcode == Opcode.TEXT
        assert pieces == (["a", "b"] if text else [b"a", b"b"])

    async def test_binary_that_is_no_text_closes_with_1007(self, meet):
        m = await meet()
        streaming = m.ws.recv_streaming(decode=True)
        first = asyncio.ensure_future(anext(streaming))
        await turns()
        m.raw.send(masked(Opcode.BINARY, b"a", fin=False) + masked(Opcode.CONT, b"\xff"))
        assert await soon(first) == "a"
        second = asyncio.ensure_future(anext(streaming))
        assert (await m.raw.read_close()).code == 1007
        await m.raw.close()
        with pytest.raises(ConnectionClosedError):
            await soon(second)

    async def test_cancelling_before_the_first_piece_is_safe(self, meet):
        m = await meet()
        streaming = m.ws.recv_streaming()
        first = asyncio.ensure_future(anext(streaming))
        await turns()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        m.raw.send(masked(Opcode.TEXT, b"a", fin=False) + masked(Opcode.CONT, b"b"))
        assert await soon(m.ws.recv()) == "ab"

    async def test_leaving_in_the_middle_closes(self, meet):
        m = await meet()
        streaming = m.ws.recv_streaming()
        first = asyncio.ensure_future(anext(streaming))
        await turns()
        m.raw.send(masked(Opcode.TEXT, b"a", fin=False))
        assert await soon(first) == "a"
        with pytest.raises(ConcurrencyError):
            await m.ws.recv()
        await streaming.aclose()
        close = await m.raw.read_close()
        assert close == Close(1011, "a message was not received to its end")

    async def test_recv_takes_a_message_that_streaming_left_in_pieces(self, meet):
        # While somebody streams, the next message may already be cut into pieces in the queue.
        m = await meet()
        streaming = m.ws.recv_streaming()
        first = asyncio.ensure_future(anext(streaming))
        await turns()
        m.raw.send(
            masked(Opcode.BINARY, b"a", fin=False) + masked(Opcode.CONT, b"b")
            + masked(Opcode.TEXT, b"c", fin=False) + masked(Opcode.CONT, b"d")
        )  # fmt: skip
        assert [await soon(first), *[piece async for piece in streaming]] == [b"a", b"b"]
        assert await soon(m.ws.recv()) == "cd"

    @pytest.mark.parametrize("max_queue", [16, 2])
    async def test_recv_waits_for_pieces_that_are_still_to_come(self, meet, max_queue):
        m = await meet(max_queue=max_queue)
        streaming = m.ws.recv_streaming()
        first = asyncio.ensure_future(anext(streaming))
        await turns()
        m.raw.send(masked(Opcode.BINARY, b"a", fin=False) + masked(Opcode.CONT, b"b"))
        m.raw.send(masked(Opcode.TEXT, b"0", fin=False))
        assert await soon(first) == b"a"
        await asyncio.sleep(0.01)
        assert [piece async for piece in streaming] == [b"b"]
        for i in range(1, 8):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.005):
                    await m.ws.recv()
            m.raw.send(masked(Opcode.CONT, b"%d" % i, fin=False))
        m.raw.send(masked(Opcode.CONT, b"!"))
        assert await soon(m.ws.recv()) == "01234567!"

    async def test_a_whole_binary_message_as_text(self, meet):
        m = await meet()
        m.raw.send(masked(Opcode.BINARY, b"good") + masked(Opcode.BINARY, b"\xff"))
        await turns()
        assert [piece async for piece in m.ws.recv_streaming(decode=True)] == ["good"]
        second = asyncio.ensure_future(anext(m.ws.recv_streaming(decode=True)))
        assert (await m.raw.read_close()).code == 1007
        await m.raw.close()
        with pytest.raises(ConnectionClosedError):
            await soon(second)

    async def test_the_end_in_the_middle_is_raised(self, meet):
        m = await meet()
        streaming = m.ws.recv_streaming()
        first = asyncio.ensure_future(anext(streaming))
        await turns()
        m.raw.send(masked(Opcode.TEXT, b"a", fin=False))
        assert await soon(first) == "a"
        m.raw.abort()
        with pytest.raises(ConnectionClosedError):
            await soon(anext(streaming))


class TestSend:
    async def test_types(self, meet):
        m = await meet()
        for message in ("ä", b"b", bytearray(b"c"), memoryview(b"d")):
            await m.ws.send(message)
        frames = [await m.raw.read_frame() for _ in range(4)]
        assert [(frame.opcode, frame.data) for frame in frames] == [
            (1, "ä".encode()), (2, b"b"), (2, b"c"), (2, b"d"),
        ]  # fmt: skip

    async def test_text_chooses_the_opcode(self, meet):
        m = await meet()
        await m.ws.send(b"a", text=True)
        await m.ws.send("b", text=False)
        frames = [await m.raw.read_frame() for _ in range(2)]
        assert [(frame.opcode, frame.data) for frame in frames] == [(1, b"a"), (2, b"b")]

    async def test_pieces(self, meet):
        m = await meet()

        async def pieces():
            yield b"x"
            yield bytearray(b"y")

        await m.ws.send(["a", "b"])
        await m.ws.send(pieces())
        await m.ws.send([])
        await m.ws.send(["c"], text=False)
        await m.ws.send([b"d"], text=True)
        frames = [await m.raw.read_frame() for _ in range(10)]
        assert [(frame.opcode, frame.data, frame.fin) for frame in frames] == [
            (1, b"a", False), (0, b"b", False), (0, b"", True),
            (2, b"x", False), (0, b"y", False), (0, b"", True),
            (2, b"c", False), (0, b"", True),
            (1, b"d", False), (0, b"", True),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("message", "error"),
        [
            (5, "message is of type int; expected str, bytes-like, or an iterable of them"),
            ({"a": 1}, "dict-like"),
            ([5], "must contain bytes or str"),
        ],
    )
    async def test_other_types_are_refused_and_nothing_is_sent(self, meet, message, error):
        m = await meet()
        with pytest.raises(TypeError, match=error):
            await m.ws.send(message)
        await m.ws.send("fine")
        assert (await m.raw.read_frame()).data == b"fine"

    async def test_lone_surrogates_are_refused(self, meet):
        m = await meet()
        with pytest.raises(UnicodeEncodeError):
            await m.ws.send("\ud800")
        await m.ws.send("fine")
        assert (await m.raw.read_frame()).data == b"fine"

    async def test_pieces_of_two_kinds_close(self, meet):
        m = await meet()
        with pytest.raises(TypeError, match="same kind"):
            await m.ws.send(["a", b"b"])
        assert await m.raw.read_close() == Close(1011, "error in fragmented message")

    async def test_an_error_between_the_pieces_closes(self, meet):
        m = await meet()

        async def pieces():
            yield "a"
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await m.ws.send(pieces())
        assert await m.raw.read_close() == Close(1011, "error in fragmented message")

    async def test_other_messages_wait_for_the_last_piece(self, meet):
        m = await meet()
        go_on = asyncio.Event()

        async def pieces():
            yield "a"
            await go_on.wait()
            yield "b"

        first = asyncio.ensure_future(m.ws.send(pieces()))
        await turns()
        second = asyncio.ensure_future(m.ws.send("whole"))
        await m.ws.ping(b"p")  # control frames may stand between
        await turns()
        assert not second.done()
        go_on.set()
        await soon(asyncio.gather(first, second))
        frames = [await m.raw.read_frame() for _ in range(5)]
        assert [frame.data for frame in frames] == [b"a", b"p", b"b", b"", b"whole"]

    async def test_closing_between_the_pieces(self, meet):
        m = await meet()

        async def pieces():
            yield "a"
            await asyncio.Event().wait()

        sending = asyncio.ensure_future(m.ws.send(pieces()))
        await turns()
        closing = asyncio.ensure_future(m.ws.close())
        assert await m.raw.read_close() == Close(1011, "close during fragmented message")
        m.raw.send(masked(Opcode.CLOSE, close_payload(1011)))
        await soon(closing)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

    async def test_a_closed_connection(self, meet):
        m = await meet()
        m.raw.send(masked(Opcode.CLOSE, close_payload(1000)))
        await soon(m.ws.wait_closed())
        for attempt in (m.ws.send("x"), m.ws.send(["x"]), m.ws.ping(), m.ws.pong()):
            with pytest.raises(ConnectionClosedOK):
                await attempt

    async def test_while_closing_it_waits_for_how_it_ends(self, meet):
        m = await meet(close_timeout=5)
        closing = asyncio.ensure_future(m.ws.close())
        await turns()
        assert m.ws.state is State.CLOSING
        sending = asyncio.ensure_future(m.ws.send("x"))
        assert (await m.raw.read_close()).code == 1000
        assert not sending.done()
        m.raw.send(masked(Opcode.CLOSE, close_payload(1000)))
        with pytest.raises(ConnectionClosedOK):
            await soon(sending)
        await soon(closing)

    async def test_many_sends_that_need_not_wait_let_others_run(self, meet):
        m = await meet()
        others = 0

        async def count():
            nonlocal others
            while True:
                others += 1
                await asyncio.sleep(0)

        counting = asyncio.ensure_future(count())
        for _ in range(600):
            await m.ws.send("x")
        assert others >= 2
        counting.cancel()

    async def test_order_is_kept(self, meet):
        m = await meet(ping_interval=None)
        large = b"L" * 100_000
        for i in range(20):
            await m.ws.send(f"{i}")
            await m.ws.send(large)
        for i in range(20):
            assert (await m.raw.read_frame()).data == f"{i}".encode()
            assert len((await m.raw.read_frame()).data) == len(large)


class TestBackPressure:
    async def test_send_waits_for_a_peer_that_does_not_read(self, meet):
        m = await meet(ping_interval=None)
        m.raw.reader._limit = 1000  # the reader stops reading when it holds twice as much
        sent = 0

        async def flood():
            nonlocal sent
            while True:
                await m.ws.send(b"x" * 10_000)
                sent += 1

        flooding = asyncio.ensure_future(flood())
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.05)
        assert not flooding.done()
        # The rest of what was sent is in the kernel's buffers.
        assert m.ws.transport.get_write_buffer_size() < CORK_LIMIT + 2**15 + 20_000
        flooding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flooding
        for _ in range(sent):
            assert len((await m.raw.read_frame()).data) == 10_000

    async def test_a_waiting_send_learns_of_the_end(self, meet):
        m = await meet(ping_interval=None)
        m.raw.reader._limit = 1000

        async def flood():
            while True:
                await m.ws.send(b"x" * 100_000)

        flooding = asyncio.ensure_future(flood())
        await asyncio.sleep(0.05)
        m.raw.abort()
        with pytest.raises(ConnectionClosedError):
            await soon(flooding)

    async def test_reading_pauses_when_nobody_receives(self, meet):
        m = await meet(max_queue=4)
        sent = 0

        async def flood():
            nonlocal sent
            while True:
                m.raw.send(masked(Opcode.BINARY, b"x" * 65536))
                await m.raw.writer.drain()
                sent += 1

        flooding = asyncio.ensure_future(flood())
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.05)
        flooding.cancel()
        received = [await soon(m.ws.recv()) for _ in range(sent)]
        assert all(len(message) == 65536 for message in received)

    async def test_the_queue_holds_what_max_queue_says(self, meet):
        m = await meet(max_queue=(3, 1))
        for i in range(10):
            m.raw.send(masked(Opcode.TEXT, b"%d" % i))
        await m.raw.writer.drain()
        await asyncio.sleep(0.05)
        # Order and number are right although reading paused in the middle of a read.
        assert [await soon(m.ws.recv()) for _ in range(10)] == [f"{i}" for i in range(10)]

    async def test_without_a_limit_all_is_read(self, meet):
        m = await meet(max_queue=None)
        for i in range(1000):
            m.raw.send(masked(Opcode.TEXT, b"%d" % i))
        m.raw.send(masked(Opcode.PING, b"last"))
        assert (await m.raw.read_frame()).data == b"last"
        assert [await soon(m.ws.recv()) for _ in range(1000)][-1] == "999"

    async def test_pieces_of_a_message_longer_than_the_queue(self, meet):
        m = await meet(max_queue=2)
        streaming = m.ws.recv_streaming()
        first = asyncio.ensure_future(anext(streaming))
        await turns()
        m.raw.send(masked(Opcode.TEXT, b"0", fin=False))
        assert await soon(first) == "0"
        m.raw.send(b"".join(masked(Opcode.CONT, b"x", fin=False) for _ in range(20)))
        m.raw.send(masked(Opcode.CONT, b"!"))
        assert "".join([piece async for piece in streaming]) == "x" * 20 + "!"
        # And the same for recv, when the pieces are there because somebody streamed before.
        streaming = m.ws.recv_streaming()
        first = asyncio.ensure_future(anext(streaming))
        await turns()
        m.raw.send(b"".join(masked(Opcode.CONT if i else 1, b"y", fin=i == 9) for i in range(10)))
        m.raw.send(b"".join(masked(Opcode.CONT if i else 1, b"z", fin=i == 9) for i in range(10)))
        assert "".join([await soon(first), *[piece async for piece in streaming]]) == "y" * 10
        assert await soon(m.ws.recv()) == "z" * 10

    async def test_closing_gets_past_what_nobody_received(self, meet):
        m = await meet(max_queue=2, close_timeout=5)
        m.raw.send(b"".join(masked(Opcode.TEXT, b"x") for _ in range(50)))
        await asyncio.sleep(0.02)
        closing = asyncio.ensure_future(m.ws.close())
        assert (await m.raw.read_close()).code == 1000
        m.raw.send(masked(Opcode.CLOSE, close_payload(1000)))
        await soon(closing)
        assert m.ws.close_code == 1000


class TestPing:
    async def test_the_future_is_the_latency(self, meet):
        m = await meet()
        pong = await m.ws.ping(b"data")
        frame = await m.raw.read_frame()
        assert (frame.opcode, frame.data) == (9, b"data")
        assert not pong.done()
        m.raw.send(masked(Opcode.PONG, b"data"))
        latency = await soon(pong)
        assert 0 < latency < 5
        assert m.ws.latency == latency

    async def test_a_pong_answers_for_the_pings_before_it(self, meet):
        m = await meet()
        pongs = [await m.ws.ping(data) for data in ("a", "b", "c")]
        m.raw.send(masked(Opcode.PONG, b"b"))
        await soon(asyncio.gather(*pongs[:2]))
        assert not pongs[2].done()

    async def test_payloads_are_made_up_and_differ(self, meet):
        m = await meet()
        for _ in range(3):
            await m.ws.ping()
        assert len({(await m.raw.read_frame()).data for _ in range(3)}) == 3

    async def test_the_same_payload_twice(self, meet):
        m = await meet()
        await m.ws.ping(b"1")
        with pytest.raises(ConcurrencyError, match="already waiting"):
            await m.ws.ping(b"1")

    async def test_made_up_payloads_avoid_those_in_use(self, meet):
        m = await meet()
        await m.ws.ping(b"1")
        await m.ws.ping()
        frames = [await m.raw.read_frame() for _ in range(2)]
        assert frames[0].data != frames[1].data

    async def test_pongs_that_nobody_waits_for_are_ignored(self, meet):
        m = await meet()
        m.raw.send(masked(Opcode.PONG, b"?") + masked(Opcode.TEXT, b"x"))
        assert await soon(m.ws.recv()) == "x"

    async def test_the_future_learns_of_the_end(self, meet):
        m = await meet()
        pong = await m.ws.ping()
        m.raw.abort()
        with pytest.raises(ConnectionClosed):
            await soon(pong)

    async def test_too_long(self, meet):
        m = await meet()
        with pytest.raises(UsageError, match="125"):
            await m.ws.ping(b"x" * 126)
        with pytest.raises(UsageError, match="125"):
            await m.ws.pong(b"x" * 126)

    async def test_pong(self, meet):
        m = await meet()
        await m.ws.pong("beat")
        frame = await m.raw.read_frame()
        assert (frame.opcode, frame.data) == (10, b"beat")

    async def test_pings_are_answered_whatever_was_sent_before(self, meet):
        # The answer must go where the next write takes it from: after a send outside of a read,
        # after one inside, and before any.
        m = await meet()
        for _ in range(3):
            m.raw.send(masked(Opcode.PING, b"p"))
            frame = await m.raw.read_frame()
            assert (frame.opcode, frame.data) == (10, b"p")
            await m.ws.send("outside")
            assert (await m.raw.read_frame()).data == b"outside"


class TestClose:
    async def test_we_close(self, meet):
        m = await meet(close_timeout=5)
        closing = asyncio.ensure_future(m.ws.close(4000, "done"))
        assert await m.raw.read_close() == Close(4000, "done")
        m.raw.send(masked(Opcode.CLOSE, close_payload(4000, "done")))
        await soon(closing)
        assert await m.raw.read_all() == b""
        assert (m.ws.close_code, m.ws.close_reason) == (4000, "done")
        assert m.ws.state is State.CLOSED
        await m.ws.close()  # does nothing

    async def test_the_peer_closes(self, meet):
        m = await meet()
        m.raw.send(masked(Opcode.CLOSE, close_payload(4000, "done")))
        assert await m.raw.read_close() == Close(4000, "done")
        assert await m.raw.read_all() == b""
        with pytest.raises(ConnectionClosedError) as caught:
            await m.ws.recv()
        assert caught.value.rcvd_then_sent is True

    async def test_a_peer_that_does_not_answer(self, meet):
        m = await meet(close_timeout=0.05)
        await soon(m.ws.close())
        with pytest.raises(ConnectionClosedError) as caught:
            await m.ws.recv()
        assert caught.value.sent.code == 1000
        assert caught.value.rcvd is None
        assert caught.value.__notes__ == ["the closing handshake took longer than close_timeout"]

    async def test_wrong_arguments(self, meet):
        m = await meet()
        with pytest.raises(UsageError, match="1006"):
            await m.ws.close(1006)
        with pytest.raises(UsageError, match="123"):
            await m.ws.close(1000, "x" * 124)
        await m.ws.send("still open")

    async def test_wait_closed_can_be_cancelled(self, meet):
        m = await meet()
        waiting = asyncio.ensure_future(m.ws.wait_closed())
        await turns()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        m.raw.abort()
        await soon(m.ws.wait_closed())
        await m.ws.wait_closed()

    async def test_messages_before_a_broken_frame_are_received_and_answered(self, meet):
        m = await meet(close_timeout=5)
        m.raw.send(masked(Opcode.TEXT, b"a") + masked(Opcode.TEXT, b"b") + b"\x81\x01x")
        for message in ("a", "b"):
            assert await soon(m.ws.recv()) == message
            await m.ws.send(message)
        receiving = asyncio.ensure_future(m.ws.recv())
        assert [(await m.raw.read_frame()).data for _ in range(2)] == [b"a", b"b"]
        assert (await m.raw.read_close()).code == 1002
        await m.raw.close()
        with pytest.raises(ConnectionClosedError) as caught:
            await soon(receiving)
        assert caught.value.sent.code == 1002

    async def test_messages_before_a_broken_frame_that_nobody_receives(self, meet):
        m = await meet(close_timeout=0.05)
        m.raw.send(masked(Opcode.TEXT, b"a") + b"\x81\x01x")
        assert (await m.raw.read_close()).code == 1002
        assert await m.raw.read_all() == b""
        assert await soon(m.ws.recv()) == "a"

    async def test_messages_that_cross_our_close_frame_can_be_received(self, meet):
        m = await meet(close_timeout=5)
        closing = asyncio.ensure_future(m.ws.close())
        await m.raw.read_close()
        m.raw.send(masked(Opcode.TEXT, b"late") + masked(Opcode.CLOSE, close_payload(1000)))
        await soon(closing)
        assert await m.ws.recv() == "late"
        with pytest.raises(ConnectionClosedOK):
            await m.ws.recv()


class TestKeepalive:
    async def test_pings_measure_the_latency(self, meet):
        m = await meet(ping_interval=0.02, ping_timeout=5)
        for _ in range(3):
            frame = await m.raw.read_frame()
            assert frame.opcode == Opcode.PING
            m.raw.send(masked(Opcode.PONG, frame.data))
        await m.raw.read_frame()
        assert 0 < m.ws.latency < 5

    async def test_without_a_pong_it_closes_with_1011(self, meet, caplog):
        caplog.set_level(logging.INFO, "duplexio.websocket")
        m = await meet(ping_interval=0.02, ping_timeout=0.05)
        assert await m.raw.read_close() == Close(1011, "keepalive ping timeout")
        assert await m.raw.read_all() == b""
        await m.raw.close()
        with pytest.raises(ConnectionClosedError) as caught:
            await soon(m.ws.recv())
        assert caught.value.sent == Close(1011, "keepalive ping timeout")
        assert "keepalive ping timeout" in caplog.text

    async def test_without_a_time_limit_pings_go_on(self, meet):
        m = await meet(ping_interval=0.02, ping_timeout=None)
        for _ in range(3):
            assert (await m.raw.read_frame()).opcode == Opcode.PING
        m.raw.send(masked(Opcode.PONG, b"keepalive") + masked(Opcode.TEXT, b"x"))
        await soon(m.ws.recv())
        assert m.ws.latency > 0

    async def test_a_slow_handler_is_not_a_dead_peer(self, meet):
        m = await meet(ping_interval=0.02, ping_timeout=0.1, max_queue=2)
        m.raw.send(b"".join(masked(Opcode.TEXT, b"x") for _ in range(20)))
        frame = await m.raw.read_frame()
        m.raw.send(masked(Opcode.PONG, frame.data))  # behind messages that nobody takes
        await asyncio.sleep(0.35)
        assert m.ws.state is State.OPEN
        assert [await soon(m.ws.recv()) for _ in range(20)] == ["x"] * 20

    async def test_patience_with_a_slow_handler_ends(self, meet):
        m = await meet(ping_interval=0.01, ping_timeout=0.02, max_queue=2)
        m.raw.send(b"".join(masked(Opcode.TEXT, b"x") for _ in range(20)))
        began = asyncio.get_running_loop().time()
        assert await m.raw.read_close() == Close(1011, "keepalive ping timeout")
        # Ten times the time-out more, in the wheel's steps of 1/64 s.
        assert asyncio.get_running_loop().time() - began > 0.2


class TestBeforeItIsOpen:
    async def test_nothing_can_be_sent(self):
        raised = []

        async def process_request(ws, request):
            for attempt in (ws.send("x"), ws.ping(), ws.pong()):
                with pytest.raises(InvalidState, match="not open yet"):
                    await attempt
            raised.append(ws.state)

        async def handler(ws):
            await ws.send("open")

        async with serving(handler, process_request=process_request) as server:
            raw = await Raw.open(port_of(server))
            assert (await raw.read_frame()).data == b"open"
            await raw.close()
        assert raised == [State.CONNECTING]
