"""Compression of messages: RFC 7692 section 7.2, limits, memory, and what hostile data does."""

import gc
import json
import random
import threading
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate as Peer
from websockets.frames import Frame, Opcode

from duplexio.errors import UsageError
from duplexio.websocket import deflate_codec
from duplexio.websocket.deflate_codec import (
    COMPRESSORS,
    MAX_FINAL_BLOCKS,
    CompressionSettingError,
    CompressorCache,
    PerMessageDeflate,
)
from duplexio.websocket.exceptions import PayloadTooBig, ProtocolError

try:
    from zlib_ng import zlib_ng
except ImportError:
    BACKENDS = [zlib]
else:
    BACKENDS = [zlib, zlib_ng]

TAIL = b"\x00\x00\xff\xff"


@pytest.fixture(params=BACKENDS, ids=lambda module: module.__name__.rpartition(".")[2])
def backend(request, monkeypatch):
    """Each library that can do the work: all must hold with the standard library's alone."""
    monkeypatch.setattr(deflate_codec, "_backend", request.param)
    return request.param


def codec(*, takeover=True, bits=15, **kwargs):
    return PerMessageDeflate(not takeover, not takeover, bits, bits, **kwargs)


def records(count, seed=5):
    """Return messages like those of a chat, which resemble each other."""
    chance = random.Random(seed)
    words = ["".join(chance.choices("etaoinshr", k=chance.randint(2, 8))) for _ in range(300)]
    return [
        json.dumps(
            {"id": i, "user": chance.choice(words), "text": " ".join(chance.choices(words, k=12))}
        ).encode()
        for i in range(count)
    ]


def raw_deflate(data, flush=zlib.Z_FINISH, level=-1, bits=15):
    compressor = zlib.compressobj(level, zlib.DEFLATED, -bits)
    return compressor.compress(data) + compressor.flush(flush)


# --- the examples of RFC 7692 -------------------------------------------------------------------


@pytest.mark.usefixtures("backend")
class TestExamplesOfTheRFC:
    def test_7_2_3_1_one_block(self):
        assert codec().compress(b"Hello") == bytes.fromhex("f248cdc9c90700")
        assert codec().decompress(bytes.fromhex("f248cdc9c90700")) == b"Hello"

    def test_7_2_3_1_in_two_fragments(self):
        deflate = codec()
        first = deflate.decompress(bytes.fromhex("f248cd"), False)
        assert first + deflate.decompress(bytes.fromhex("c9c90700"), True) == b"Hello"

    def test_7_2_3_2_sharing_the_window(self):
        deflate = codec()
        assert deflate.compress(b"Hello") == bytes.fromhex("f248cdc9c90700")
        assert deflate.compress(b"Hello") == bytes.fromhex("f200110000")
        assert deflate.decompress(bytes.fromhex("f248cdc9c90700")) == b"Hello"
        assert deflate.decompress(bytes.fromhex("f200110000")) == b"Hello"

    def test_7_2_3_2_without_context_takeover(self):
        deflate = codec(takeover=False)
        for _ in range(3):
            assert deflate.compress(b"Hello") == bytes.fromhex("f248cdc9c90700")
            assert deflate.decompress(bytes.fromhex("f248cdc9c90700")) == b"Hello"

    @pytest.mark.parametrize("takeover", [True, False])
    def test_7_2_3_3_block_without_compression(self, takeover):
        deflate = codec(takeover=takeover)
        for _ in range(2):
            assert deflate.decompress(bytes.fromhex("000500faff48656c6c6f00")) == b"Hello"

    @pytest.mark.parametrize("takeover", [True, False])
    def test_7_2_3_4_final_block(self, takeover):
        deflate = codec(takeover=takeover)
        for _ in range(3):
            assert deflate.decompress(bytes.fromhex("f348cdc9c9070000")) == b"Hello"
        assert deflate.decompress(bytes.fromhex("f248cdc9c90700")) == b"Hello"

    @pytest.mark.parametrize("takeover", [True, False])
    def test_7_2_3_5_two_blocks(self, takeover):
        deflate = codec(takeover=takeover)
        for _ in range(2):
            assert deflate.decompress(bytes.fromhex("f248050000 00ffffcac9c90700")) == b"Hello"

    @pytest.mark.parametrize("takeover", [True, False])
    def test_7_2_3_6_empty_message(self, takeover):
        deflate = codec(takeover=takeover)
        assert deflate.compress(b"abc") != b"\x00"
        for _ in range(2):
            assert deflate.compress(b"") == b"\x00"
            assert deflate.decompress(b"\x00") == b""


# --- both directions ----------------------------------------------------------------------------


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize("bits", range(8, 16))
def test_round_trip_with_every_window(takeover, bits):
    deflate = codec(takeover=takeover, bits=bits)
    messages = [*records(200), b"", b"x" * 100_000, b"".join(records(1000)), bytearray(b"abc")]
    for message in messages:
        assert deflate.decompress(deflate.compress(message)) == message


@pytest.mark.parametrize("bits", range(8, 16))
def test_no_distance_exceeds_the_window(backend, bits):
    # Inflate lets distances pass that stay within one call's output: with one byte to a call it
    # has nothing but its window.
    message = b"".join(records(400))
    data = codec(bits=bits).compress(message)
    inflate = zlib.decompressobj(-bits)
    out = bytearray()
    while data:
        out += inflate.decompress(data, 1)
        data = inflate.unconsumed_tail
    while byte := inflate.decompress(TAIL, 1):
        out += byte
    assert out == message


@pytest.mark.usefixtures("backend")
@given(data=st.data(), takeover=st.booleans())
def test_any_message_in_any_fragments_on_any_cuts(data, takeover):
    sender, receiver = codec(takeover=takeover, bits=9), codec(takeover=takeover, bits=9)
    text = st.binary(max_size=40) | st.sampled_from([b"abcabc" * 300, bytes(5000)])
    for pieces in data.draw(st.lists(st.lists(text, min_size=1, max_size=4), max_size=4)):
        last = len(pieces) - 1
        wire = b"".join(sender.compress(piece, i == last) for i, piece in enumerate(pieces))
        # Where the frames are cut again on their way has nothing to do with where they were.
        cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=4)))
        starts, ends = [0, *cuts], [*cuts, len(wire)]
        received = b"".join(
            receiver.decompress(wire[start:end], i == len(cuts), 10_000 * len(pieces))
            for i, (start, end) in enumerate(zip(starts, ends, strict=True))
        )
        assert received == b"".join(pieces)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("takeover", [True, False])
def test_a_fragment_can_be_read_before_the_next_one(takeover):
    deflate = codec(takeover=takeover)
    for piece, fin in [(b"Hello", False), (b"", False), (b", world", False), (b"", True)]:
        assert deflate.decompress(deflate.compress(piece, fin), fin) == piece


@pytest.mark.parametrize(("ours_bits", "theirs_bits"), [(12, 12), (15, 12), (9, 15), (8, 9)])
@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.usefixtures("backend")
def test_interoperates_with_websockets(takeover, ours_bits, theirs_bits):
    ours = PerMessageDeflate(not takeover, not takeover, theirs_bits, ours_bits)
    peer = Peer(not takeover, not takeover, ours_bits, theirs_bits, {"memLevel": 5})
    for message in [*records(50), b"z" * 70_000, random.Random(1).randbytes(20_000)]:
        sent = peer.encode(Frame(Opcode.BINARY, message))
        assert ours.decompress(sent.data) == message
        received = peer.decode(Frame(Opcode.BINARY, ours.compress(message), rsv1=True))
        assert received.data == message
        first = peer.encode(Frame(Opcode.BINARY, message, fin=False))
        second = peer.encode(Frame(Opcode.CONT, message[:10]))
        assert ours.decompress(first.data, False) == message
        assert ours.decompress(second.data, True) == message[:10]
        frames = [
            Frame(Opcode.BINARY, ours.compress(message, False), fin=False, rsv1=True),
            Frame(Opcode.CONT, ours.compress(message[:10])),
        ]
        assert b"".join(peer.decode(frame).data for frame in frames) == message + message[:10]


def test_ratio_is_that_of_websockets_or_better(backend):
    messages = [b"".join(records(5, seed)) for seed in range(300)]
    peer = Peer(False, False, 12, 12, {"memLevel": 5})
    theirs = sum(len(peer.encode(Frame(Opcode.TEXT, message)).data) for message in messages)
    deflate = codec(bits=deflate_codec.DEFAULT_WINDOW_BITS)
    assert sum(len(deflate.compress(message)) for message in messages) <= theirs


# --- contexts and their memory ------------------------------------------------------------------


@pytest.fixture
def cache(monkeypatch):
    cache = CompressorCache(limit=3)
    monkeypatch.setattr(PerMessageDeflate, "_cache", cache)
    return cache


def test_an_idle_connection_owns_no_context():
    before = len(COMPRESSORS)
    connections = [codec() for _ in range(100)]
    assert len(COMPRESSORS) == before
    assert {deflate.memory_bytes for deflate in connections} == {0}


@pytest.mark.usefixtures("backend")
def test_the_compressors_of_the_last_senders_are_kept(cache):
    connections = [codec() for _ in range(5)]
    for deflate in connections:
        deflate.compress(b"some text")
    assert len(cache) == 3
    kept = [deflate.memory_bytes > 10_000 for deflate in connections]
    assert kept == [False, False, True, True, True]
    connections[2].compress(b"more")
    connections[0].compress(b"more")
    kept = [deflate.memory_bytes > 10_000 for deflate in connections]
    assert kept == [True, False, True, False, True]


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("bits", [8, 9, 13, 15])
def test_a_dropped_compressor_costs_no_compression(cache, bits):
    # Each of the messages is compressed anew, from the window alone.
    cache.limit = 0
    sender, receiver = codec(bits=bits), codec(bits=bits)
    anew = 0
    for message in records(200):
        data = sender.compress(message[:50], False)
        assert receiver.decompress(data, False) == message[:50]
        anew += len(data)
        data = sender.compress(message[50:])
        assert receiver.decompress(data) == message[50:]
        anew += len(data)
    assert len(cache) == 0
    assert sender.memory_bytes <= 2 * (1 << bits) + 8192
    cache.limit = 1
    kept_sender = codec(bits=bits)
    kept = 0
    for message in records(200):
        kept += len(kept_sender.compress(message[:50], False))
        kept += len(kept_sender.compress(message[50:]))
    assert anew < kept * 1.03


@pytest.mark.usefixtures("backend")
def test_a_connection_that_is_gone_leaves_the_cache(cache):
    deflate = codec()
    deflate.compress(b"text")
    other = codec()
    other.compress(b"text")
    del deflate
    gc.collect()
    assert len(cache) == 1
    other.decompress(codec().compress(b"text"))
    assert other.memory_bytes > 10_000
    other.release()
    assert len(cache) == 0
    assert other.memory_bytes == 0


@pytest.mark.usefixtures("backend")
def test_without_takeover_nothing_is_kept_between_messages():
    deflate = codec(takeover=False)
    for message in records(3):
        deflate.decompress(deflate.compress(message))
        assert deflate.memory_bytes == 0
        deflate.decompress(deflate.compress(message, False), False)
        assert deflate.memory_bytes > 0
        deflate.decompress(deflate.compress(message, True), True)
        assert deflate.memory_bytes == 0


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("size", [100, 5000])
def test_without_takeover_no_message_shows_in_another(size):
    # The compressor is shared: what it makes must be what a new one makes.
    secret = random.Random(3).randbytes(size)
    deflate = codec(takeover=False)
    expected = deflate.compress(secret)
    deflate_codec._idle_compressors.clear()
    assert deflate.compress(b"another connection's" + secret) != expected
    assert codec(takeover=False).compress(secret) == expected


@pytest.mark.usefixtures("backend")
def test_threads_may_share_compressors_and_cache(cache):
    arrived: list[list[bytes]] = []

    def talk(takeover):
        sender, receiver = codec(takeover=takeover), codec(takeover=takeover)
        arrived.append([receiver.decompress(sender.compress(m)) for m in records(150)])

    cache.limit = 1
    threads = [threading.Thread(target=talk, args=(i % 2 == 0,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert arrived == [records(150)] * 6
    assert len(cache) <= 1


# --- limits -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize("size", [0, 1, 257, 258, 259, 16384, 70_000])
def test_a_message_of_just_the_limit_passes(takeover, size):
    message = b"a" * size
    data = codec(takeover=takeover).compress(message)
    deflate = codec(takeover=takeover)
    assert deflate.decompress(data, True, size) == message
    assert deflate.decompress(codec().compress(message), True, size) == message
    if size:
        with pytest.raises(PayloadTooBig, match=f"exceeds limit of {size - 1} bytes") as caught:
            deflate.decompress(data, True, size - 1)
        assert caught.value.close_code == 1009


@pytest.mark.usefixtures("backend")
def test_the_limit_holds_for_all_fragments_together():
    deflate, sender = codec(), codec()
    assert len(deflate.decompress(sender.compress(b"a" * 600, False), False, 1000)) == 600
    with pytest.raises(PayloadTooBig, match="after reading 600 bytes exceeds limit of 1000 bytes"):
        deflate.decompress(sender.compress(b"a" * 401, True), True, 1000)


@pytest.fixture(scope="module")
def bomb():
    """One GiB of zeros in one MiB."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    # Each of these is the same to the compressor, so that it need not see them all.
    block = compressor.compress(bytes(2**20)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return block * 1024


@pytest.mark.usefixtures("backend")
def test_a_bomb_is_not_inflated(bomb):
    deflate = codec()
    tracemalloc.start()
    try:
        with pytest.raises(PayloadTooBig):
            deflate.decompress(bomb, True, 2**20)
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("backend")
def test_a_limit_beyond_all_memory_is_no_limit():
    assert codec().decompress(codec().compress(b"abc"), True, 2**80) == b"abc"


# --- final blocks (RFC 7692 §7.2.1, §7.2.3.4) ---------------------------------------------------


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("takeover", [True, False])
def test_final_blocks_anywhere(takeover):
    deflate = codec(takeover=takeover)
    one, two = raw_deflate(b"one "), raw_deflate(b"two ")
    assert deflate.decompress(one + two + b"\x00") == b"one two "
    assert deflate.decompress(one + codec().compress(b"three")) == b"one three"
    # Without the empty block behind it, as some senders do.
    assert deflate.decompress(one) == b"one "
    assert deflate.decompress(one, False) + deflate.decompress(two, True) == b"one two "
    assert deflate.decompress(one, False) + deflate.decompress(b"\x00", True) == b"one "
    assert deflate.decompress(codec().compress(b"three")) == b"three"


@pytest.mark.usefixtures("backend")
def test_the_window_outlives_a_final_block():
    deflate = codec()
    text = b"".join(records(30))

    def with_dictionary(data, window, flush):
        compressor = zlib.compressobj(6, zlib.DEFLATED, -15, zdict=window)
        return compressor.compress(data) + compressor.flush(flush)

    assert deflate.decompress(raw_deflate(text) + b"\x00") == text
    second = with_dictionary(text, text, zlib.Z_FINISH)
    assert len(second) < len(text) // 10
    assert deflate.decompress(second + b"\x00") == text
    third = with_dictionary(text[:500], text + text, zlib.Z_SYNC_FLUSH)[:-4]
    assert deflate.decompress(third) == text[:500]
    # Ordinary messages go on filling the window.
    assert (
        deflate.decompress(with_dictionary(b"new text", text[:500], zlib.Z_FINISH)) == b"new text"
    )
    again = with_dictionary(b"new text", text[:500] + b"new text", zlib.Z_FINISH)
    assert deflate.decompress(again) == b"new text"


@pytest.mark.usefixtures("backend")
def test_without_takeover_the_window_ends_with_the_message():
    deflate = codec(takeover=False)
    text = b"".join(records(30))
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15, zdict=text)
    data = compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert deflate.decompress(raw_deflate(text) + data[:-4]) == text * 2
    with pytest.raises(ProtocolError, match="distance"):
        deflate.decompress(data[:-4])


@pytest.mark.usefixtures("backend")
def test_many_final_blocks_in_one_frame_are_refused():
    empty = bytes.fromhex("0300")
    assert codec().decompress(empty * MAX_FINAL_BLOCKS + b"\x00") == b""
    with pytest.raises(ProtocolError, match="more than 16 final blocks") as caught:
        codec().decompress(empty * 100_000)
    assert caught.value.close_code == 1007


@pytest.mark.usefixtures("backend")
def test_the_limit_holds_across_final_blocks():
    block = raw_deflate(b"a" * 400)
    deflate = codec()
    assert len(deflate.decompress(block + block + b"\x00", True, 800)) == 800
    for limit in (799, 400, 399, 0):
        with pytest.raises(PayloadTooBig):
            codec().decompress(block + block + b"\x00", True, limit)


# --- hostile data -------------------------------------------------------------------------------


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize(
    "data",
    [
        pytest.param("07", id="reserved type of block"),
        pytest.param("ffffffff", id="reserved type of block, long"),
        pytest.param("000500faf048656c6c6f00", id="length and its complement differ"),
        pytest.param("020101", id="distance beyond the beginning"),
        pytest.param("f248cd", id="cut inside a block"),
        pytest.param("000500faff4865", id="cut inside a block without compression"),
        pytest.param("f348cdc9c9070007", id="rubbish behind a final block"),
    ],
)
def test_corrupt_data_is_refused(takeover, data):
    deflate = codec(takeover=takeover)
    with pytest.raises(ProtocolError, match="compressed message is corrupt") as caught:
        deflate.decompress(bytes.fromhex(data), True, 1000)
    assert caught.value.close_code == 1007


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("cut", range(1, 40))
def test_without_takeover_every_cut_is_noticed(cut):
    data = codec(takeover=False).compress(b"The quick brown fox jumps over the lazy dog. " * 3)
    assert cut < len(data) - 1
    with pytest.raises(ProtocolError, match="corrupt"):
        codec(takeover=False).decompress(data[:cut])


@pytest.mark.usefixtures("backend")
@given(data=st.binary(max_size=200), fin=st.booleans(), takeover=st.booleans())
def test_any_bytes_give_a_message_or_an_error(data, fin, takeover):
    deflate = codec(takeover=takeover)
    try:
        assert len(deflate.decompress(data, fin, 1000)) <= 1000
        assert len(deflate.decompress(data, True, 1000)) <= 1000
    except (ProtocolError, PayloadTooBig) as exc:
        refusal: int | None = exc.close_code
    else:
        refusal = None
    assert refusal in (None, 1007, 1009)


@pytest.mark.usefixtures("backend")
def test_an_empty_frame_is_an_empty_message():
    deflate = codec()
    assert deflate.decompress(b"") == b""
    assert deflate.decompress(codec().compress(b"abc")) == b"abc"


# --- settings -----------------------------------------------------------------------------------


def test_wants_messages_from_the_threshold_on():
    assert not codec().wants(63)
    assert codec().wants(64)
    assert codec(threshold=0).wants(0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"wbits": 12}, "compress_settings has wbits; expected level, memLevel and strategy"),
        ({"level": 10}, "level is 10; expected -1 to 9"),
        ({"memLevel": 0}, "memLevel is 0; expected 1 to 9"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(CompressionSettingError, match=message) as caught:
        codec(compress_settings=settings)
    assert isinstance(caught.value, UsageError)


@pytest.mark.parametrize("bits", [7, 16])
def test_windows_out_of_range_are_refused(bits):
    with pytest.raises(CompressionSettingError, match=f"is {bits}; expected 8 to 15"):
        PerMessageDeflate(False, False, 15, bits)
    with pytest.raises(CompressionSettingError, match=f"is {bits}; expected 8 to 15"):
        PerMessageDeflate(False, False, bits, 15)


@pytest.mark.usefixtures("backend")
def test_the_level_is_used():
    text = b"".join(records(200))
    fast, best = (codec(compress_settings={"level": level}) for level in (1, 9))
    assert len(best.compress(text)) < len(fast.compress(text))


def test_repr_shows_the_parameters():
    assert repr(PerMessageDeflate(True, False, 9, 12)) == (
        "PerMessageDeflate(remote_no_context_takeover=True, local_no_context_takeover=False, "
        "remote_max_window_bits=9, local_max_window_bits=12)"
    )
