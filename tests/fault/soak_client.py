"""Clients of python-socketio that come, talk and go; prints what they have seen, as JSON.

usage: PYTHONPATH=... python soak_client.py PORT SECONDS
"""

import json
import random
import sys
import threading
import time

import socketio

PORT, SECONDS = int(sys.argv[1]), float(sys.argv[2])
END = time.monotonic() + SECONDS
NAME = f"python-socketio {getattr(socketio, '__version__', '')}".strip()
totals = {"lives": 0, "sent": 0, "received": 0}
errors: list[str] = []


def live(transports, draw):
    client = socketio.Client(reconnection=False)
    received, broadcasts, answers = [], [], []
    going = False

    # Each handler runs in a thread of its own, so that they may overtake each other.
    @client.event
    def m(number, data=None):
        received.append(number)
        if data is not None and data != bytes([number % 256]) * 100:
            errors.append(f"{NAME} {transports}: wrong bytes with {number}")

    @client.event
    def b(number):
        broadcasts.append(number)

    @client.event
    def disconnect(*args):
        if not going:
            errors.append(f"{NAME} {transports}: disconnected {args}")

    client.connect(f"http://127.0.0.1:{PORT}", transports=transports)
    until = time.monotonic() + draw.uniform(1, 15)
    sent = owed = 0
    while time.monotonic() < until and client.connected:
        sent += 1
        choice = draw.random()
        if choice < 0.1:
            client.emit("n", (sent, bytes([sent % 256]) * 100))
        elif choice < 0.3:
            owed += 1
            client.emit("n", sent, callback=answers.append)
        else:
            client.emit("n", sent)
        time.sleep(draw.uniform(0.02, 0.2))
    if client.connected:
        count, heard = client.call("bye", sent, timeout=60)
        going = True
        patience = time.monotonic() + 10
        while time.monotonic() < patience and (len(received) < count or len(answers) < owed):
            time.sleep(0.01)
        if heard != sent or sorted(received) != list(range(1, count + 1)) or len(answers) != owed:
            errors.append(
                f"{NAME} {transports}: sent {sent}, heard {heard}; got {len(received)} of {count};"
                f" {len(answers)} of {owed} acknowledgements"
            )
        if len(set(broadcasts)) != len(broadcasts):
            errors.append(f"{NAME} {transports}: a broadcast came twice")
        client.disconnect()
    totals["lives"] += 1
    totals["sent"] += sent
    totals["received"] += len(received)


def lives(transports, seed):
    draw = random.Random(seed)
    while time.monotonic() < END:
        try:
            live(transports, draw)
        except Exception as exc:
            errors.append(f"{NAME} {transports}: {type(exc).__name__} {exc}")
            time.sleep(1)


threads = [
    threading.Thread(target=lives, args=(transports, seed))
    for seed, transports in enumerate((["polling"], ["websocket"], ["polling", "websocket"]))
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps({**totals, "errors": errors[:20]}))
