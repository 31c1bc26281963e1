"""Scripted clients of the soak, for both protocols and all ways to connect.

They share no code of Engine.IO or Socket.IO with the server.

usage: python -m tests.fault.soak_raw PORT SECONDS
"""

import asyncio
import base64
import json
import random
import re
import sys

from tests.fault.peers import SioHttp, Ws

#: Clients of each kind at the same time.
EACH = 4
SECONDS = (1, 20)

_event = re.compile(r"4(?:2|51-)\[(.*)\]", re.DOTALL)


class Broken(Exception):
    """Something was lost, doubled, or not understood."""


class Life:
    """One connection, from its beginning to its end.

    Args:
        port: The server's.
        protocol: Of Engine.IO, 3 or 4.
        way: ``polling``, ``websocket`` or ``upgrade``.
        draw: For chance.
    """

    def __init__(self, port, protocol, way, draw):
        self.port, self.protocol, self.way, self.draw = port, protocol, way, draw
        self.ws = None
        self.gets, self.posts = SioHttp(port), SioHttp(port)
        self.outbox = []
        self.more = asyncio.Event()
        self.connected = asyncio.Event()
        self.acks = {}
        self.sent = self.received = 0
        self.broadcast = None
        self.attached = None  # the number of the message whose attachment is due
        self.tasks = []
        self.going = self.paused = False

    async def live(self):
        """Come, talk, and go."""
        talk = asyncio.ensure_future(self.talk())
        self.tasks.append(talk)
        try:
            await self.open()
            while not talk.done():
                await asyncio.wait(self.tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in list(self.tasks):
                    if task.done():
                        self.tasks.remove(task)
                        if not self.going:
                            task.result()
            talk.result()
        finally:
            self.going = True
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            for connection in (self.ws, self.gets, self.posts):
                writer = getattr(connection, "writer", None)
                if writer is not None:
                    writer.close()

    async def open(self):
        query = f"EIO={self.protocol}&transport="
        if self.way == "websocket":
            self.ws = await Ws.dial(self.port, query + "websocket")
            handshake = json.loads((await self.frame())[1:])
            self.start(self.read())
        else:
            await self.gets.__aenter__()
            await self.posts.__aenter__()
            _, _, body = await self.gets.get(query + "polling")
            first, *rest = self.unpack(body)
            handshake = json.loads(first[1:])
            self.query = f"{query}polling&sid={handshake['sid']}"
            for packet in rest:
                self.take(packet)
            self.start(self.poll())
            self.start(self.post())
        if self.protocol == 3:
            self.start(self.ping(handshake["pingInterval"] / 1000))
        else:
            self.send("40")
        if self.way == "upgrade":
            self.start(self.upgrade())

    def start(self, coroutine):
        self.tasks.append(asyncio.ensure_future(coroutine))

    # Talking

    async def talk(self):
        await asyncio.wait_for(self.connected.wait(), 60)
        loop = asyncio.get_running_loop()
        end = loop.time() + self.draw.uniform(*SECONDS)
        while loop.time() < end:
            self.sent += 1
            number = self.sent
            choice = self.draw.random()
            if choice < 0.1:
                self.send(f'451-["n",{number},{{"_placeholder":true,"num":0}}]')
                self.send(bytes([number % 256]) * 100)
            elif choice < 0.3:
                self.ask(f'["n",{number}]', number)
            else:
                self.send(f'42["n",{number}]')
            await asyncio.sleep(self.draw.uniform(0.02, 0.2))
        if self.draw.random() < 0.3:
            self.vanish()
            return
        owed = list(self.acks.values())
        sent, heard = await asyncio.wait_for(self.ask(f'["bye",{self.sent}]', None), 60)
        if not all(future.done() for future in owed):
            raise Broken("an acknowledgement is missing")
        if (sent, heard) != (self.received, self.sent):
            raise Broken(f"sent {self.sent}, heard {heard}; got {self.received} of {sent}")
        self.going = True
        self.send("41" if self.draw.random() < 0.5 else "1")
        await asyncio.sleep(0.1)

    def ask(self, text, expected):
        """Send an event that is to be acknowledged."""
        id = len(self.acks)
        future = self.acks[id] = asyncio.get_running_loop().create_future()
        future.expected = expected
        self.send(f"42{id}{text}")
        return future

    def vanish(self):
        self.going = True
        if self.ws is not None:
            self.ws.reset()
        for connection in (self.gets, self.posts):
            if getattr(connection, "writer", None) is not None:
                connection.reset()

    def take(self, packet):
        """Take a packet of Engine.IO."""
        if isinstance(packet, bytes):
            number, self.attached = self.attached, None
            if packet != bytes([number % 256]) * 100:
                raise Broken(f"wrong bytes with {number}")
            return
        if packet == "2":
            self.send("3")
        elif packet in ("3", "6", "41"):
            return
        elif packet[:2] == "40":
            self.connected.set()
        elif packet[:2] == "43":
            id, _, data = packet[2:].partition("[")
            future = self.acks[int(id)]
            if future.done():
                raise Broken(f"acknowledged twice: {packet}")
            data = json.loads("[" + data)
            if future.expected is not None and data != [future.expected]:
                raise Broken(f"acknowledged {future.expected} by {data}")
            future.set_result(data)
        elif match := _event.fullmatch(packet):
            name, number, *rest = json.loads(f"[{match[1]}]")
            if name == "m":
                if number != self.received + 1:
                    raise Broken(f"{number} came after {self.received}")
                self.received = number
                self.attached = number if rest else None
            else:
                if self.broadcast is not None and number != self.broadcast + 1:
                    raise Broken(f"broadcast {number} came after {self.broadcast}")
                self.broadcast = number
        elif not self.going:
            raise Broken(f"{packet!r}")

    def send(self, packet):
        """Send a packet, or keep it while it cannot be sent."""
        self.outbox.append(packet)
        if self.ws is not None and not self.paused:
            self.flush()
        else:
            self.more.set()

    def flush(self):
        for packet in self.outbox:
            old = self.protocol == 3 and isinstance(packet, bytes)
            self.ws.say(b"\x04" + packet if old else packet)
        self.outbox.clear()

    # Transports

    async def frame(self):
        frame = await self.ws._read_frame()
        if frame.opcode == 8:
            raise Broken(f"closed: {frame}")
        if frame.opcode == 1:
            return frame.data.decode()
        return frame.data[1:] if self.protocol == 3 else frame.data

    async def read(self):
        while not self.going:
            self.take(await self.frame())

    async def poll(self):
        while not self.paused:
            status, _, body = await self.gets.get(self.query)
            if self.going:
                return
            if status != 200:
                raise Broken(f"poll: {status} {body}")
            for packet in self.unpack(body):
                self.take(packet)

    async def post(self):
        while not self.paused:
            await self.more.wait()
            self.more.clear()
            if self.paused or not self.outbox:
                continue
            packets, self.outbox = self.outbox, []
            status, _, body = await self.posts.post(self.query, self.pack(packets))
            if (status, body) != (200, b"ok") and not self.going:
                raise Broken(f"post: {status} {body}")

    async def ping(self, interval):
        while True:
            await asyncio.sleep(interval)
            self.send("2")

    async def upgrade(self):
        await asyncio.sleep(self.draw.choice([0, 0.05, 0.5]))
        ws = await Ws.dial(self.port, self.query.replace("polling", "websocket", 1))
        ws.say("2probe")
        if await ws.text() != "3probe":
            raise Broken("no probe")
        # The requests that are on their way have to end first.
        self.paused = True
        self.more.set()
        polling = [task for task in self.tasks if task.get_coro().__name__ in ("poll", "post")]
        await asyncio.gather(*polling)
        if self.going:
            ws.reset()
            return
        ws.say("5")
        self.ws, self.paused = ws, False
        self.flush()
        await self.read()

    # Payloads

    def pack(self, packets):
        if self.protocol == 4:
            return "\x1e".join(
                p if isinstance(p, str) else "b" + base64.b64encode(p).decode() for p in packets
            ).encode()
        texts = [p if isinstance(p, str) else "b4" + base64.b64encode(p).decode() for p in packets]
        return "".join(f"{len(text)}:{text}" for text in texts).encode()

    def unpack(self, body):
        if self.protocol == 4:
            return [
                base64.b64decode(p[1:]) if p[0] == "b" else p for p in body.decode().split("\x1e")
            ]
        packets = []
        while body:
            if body[0] < 2:
                kind = body[0]
                digits, _, body = body[1:].partition(b"\xff")
                length = int("".join(map(str, digits)))
                packets.append(body[1:length] if kind else body[:length].decode())
            else:
                digits, _, body = body.partition(b":")
                length = int(digits)
                packets.append(body[:length].decode())
            body = body[length:]
        return packets


async def main():
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    errors = []
    totals = {"lives": 0, "sent": 0, "received": 0}

    async def lives(protocol, way, seed):
        draw = random.Random(seed)
        await asyncio.sleep(draw.random())
        while loop.time() < end:
            life = Life(port, protocol, way, draw)
            try:
                await life.live()
            except Exception as exc:
                errors.append(f"EIO{protocol} {way}: {type(exc).__name__} {exc}")
                await asyncio.sleep(1)
            totals["lives"] += 1
            totals["sent"] += life.sent
            totals["received"] += life.received

    kinds = [(p, w) for p in (3, 4) for w in ("polling", "websocket", "upgrade")]
    await asyncio.gather(*[lives(p, w, f"{p}{w}{i}") for p, w in kinds for i in range(EACH)])
    print(json.dumps({**totals, "errors": errors[:20]}))


if __name__ == "__main__":
    asyncio.run(main())
