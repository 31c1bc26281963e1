"""A client of python-engineio: as engineio_client.cjs, for the version that PYTHONPATH has."""

import json
import sys
import threading

import engineio

port, transports, count = sys.argv[1], sys.argv[2].split(","), int(sys.argv[3])
client = engineio.Client()
closed = threading.Event()
received = 0
texts = ["hello", '€ 😀 \u2028\\n\n"', "x" * 20000, "x1"]


def show(*event):
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


@client.on("message")
def message(data):
    global received
    show("message", data if isinstance(data, str) else {"binary": list(data)})
    received += 1
    if received == len(texts) + 1 + count:
        client.send("close me")


@client.on("disconnect")
def disconnect(*reason):
    show("close", *reason)
    closed.set()


client.connect(f"http://127.0.0.1:{port}", transports=transports)
show("open", client.transport())
for text in texts:
    client.send(text)
client.send(bytes([0, 1, 2, 255, 4]))
for number in range(count):
    client.send(f"n{number}")
sys.exit(0 if closed.wait(20) else 2)
