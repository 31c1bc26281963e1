"""JSON as applications send it over WebSockets, always the same for a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import cycle, islice

VOCABULARY = """
    the of and to in is you that it he was for on are as with his they at be this have from or
    one had by word but not what all were we when your can said there use an each which she do
    how their if will up other about out many then them these so some her would make like him
    into time has look two more write go see number no way could people my than first water
    been call who oil its now find long down day did get come made may part server client
    message connection deploy review merge release coffee meeting tomorrow please thanks
"""
WORDS = VOCABULARY.split()
NAMES = ("Ada", "Björn", "Chloé", "Dmitri", "Elif", "Fatima", "George", "Hana", "Ivan", "José")
SYMBOLS = ("AAPL", "BTC-USD", "ETH-USD", "EURUSD", "GOOG", "MSFT", "SOL-USD", "TSLA")


def messages(seed: int = 7) -> Iterator[bytes]:
    """Repeat 200 messages of 4 to 64 KiB (4.7 MB in all, far more than a window) without end.

    They are chat histories, market data and lists of records in turn, each an array filled up to
    a length that is drawn evenly on a logarithmic scale.
    """
    chance = random.Random(seed)
    makers = cycle((_chat, _tick, _record))
    return cycle([_message(chance, make) for make in islice(makers, 200)])


def _message(chance: random.Random, make: object) -> bytes:
    size = 4096 * 2 ** (4 * chance.random())
    items: list[object] = []
    length = 0
    while length < size:
        item = make(chance)  # type: ignore[operator]
        items.append(item)
        length += len(json.dumps(item)) + 1
    return json.dumps({"type": "batch", "items": items}, ensure_ascii=False).encode()


def _chat(chance: random.Random) -> dict[str, object]:
    return {
        "id": f"{chance.getrandbits(64):016x}",
        "room": chance.choice(WORDS),
        "from": {"uid": chance.randrange(100_000), "name": chance.choice(NAMES)},
        "ts": 1_790_000_000_000 + chance.randrange(10**9),
        "text": " ".join(chance.choices(WORDS, k=chance.randrange(3, 40))),
        "edited": chance.random() < 0.05,
    }


def _tick(chance: random.Random) -> dict[str, object]:
    price = round(chance.uniform(1, 60_000), 2)
    return {
        "symbol": chance.choice(SYMBOLS),
        "bid": price,
        "ask": round(price * 1.0003, 2),
        "volume": round(chance.expovariate(0.01), 4),
        "seq": chance.randrange(10**9),
        "time": f"2026-11-20T{chance.randrange(24):02}:07:42.{chance.randrange(10**6):06}Z",
    }


def _record(chance: random.Random) -> dict[str, object]:
    return {
        "id": chance.randrange(10**7),
        "status": chance.choice(("open", "closed", "pending", "failed")),
        "owner": f"{chance.choice(NAMES).lower()}@example.com",
        "tags": chance.sample(WORDS, k=chance.randrange(5)),
        "score": round(chance.gauss(50, 15), 3),
        "parent": None if chance.random() < 0.3 else chance.randrange(10**7),
        "attributes": {"width": chance.randrange(2000), "height": chance.randrange(2000)},
    }
