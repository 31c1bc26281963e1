"""Recovery on lines that break at any moment: nothing is lost, doubled or out of order."""

import asyncio

from hypothesis import example, given, settings
from hypothesis import strategies as st

from duplexio.socketio import AsyncServer
from tests.socketio.client_fakes import Player
from tests.socketio.test_client_delivery import Line

ROOMS = ["r", "s"]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("emit"), st.sampled_from([None, "own", *ROOMS]), st.booleans()),
        st.tuples(st.just("volatile"), st.sampled_from([None, *ROOMS])),
        st.tuples(st.sampled_from(["join", "leave"]), st.sampled_from(ROOMS)),
        st.just(("connect",)),
        st.just(("cut",)),
        st.just(("drop",)),
        st.just(("notice",)),
        st.tuples(st.just("up"), st.integers(1, 4)),
        st.tuples(st.just("down"), st.integers(1, 4)),
        st.just(("turn",)),
    ),
    max_size=50,
)


class Schedule:
    """One client of a server; what it is to get, and what it gets."""

    def __init__(self, slow):
        self.server = AsyncServer(connection_state_recovery=True)
        self.slow = slow
        self.connects = []
        self.server.on("connect", self.connect)
        self.player = Player()
        self.line = Line(self.server, self.player)
        self.lost = []  # connections whose end the server has not noticed
        self.rooms = set()
        self.expected = []
        self.count = 0

    async def connect(self, sid, environ):
        self.connects.append(self.server.recovered(sid))
        if self.slow:
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    @property
    def member(self):
        for member in self.server.hub.adapters["/"].members.values():
            return member if member.state == 1 else None
        return None

    async def step(self, kind, *args):
        line = self.line
        if kind == "emit":
            to, skip = args
            self.count += 1
            sid = self.player.space.sid
            mine = to in (None, "own") or to in self.rooms
            if mine and not (skip and "s" in self.rooms):
                self.expected.append(self.count)
            target = sid if to == "own" else to
            await self.server.emit("n", self.count, to=target, skip_room="s" if skip else None)
        elif kind == "volatile":
            await self.server.emit("v", "a string", to=args[0], volatile=True)
        elif kind in ("join", "leave") and self.member is not None:
            method = {"join": self.server.enter_room, "leave": self.server.leave_room}[kind]
            await method(self.member.sid, *args)
            self.rooms = set(self.server.rooms(self.member.sid)) - {self.member.sid}
        elif kind == "connect" and not line.connected:
            line.connect()
        elif kind == "cut" and line.connected:
            line.cut()
        elif kind == "drop" and line.connected:
            line.collect()
            self.player.lose()
            self.lost.append(line.peer)
        elif kind == "notice" and self.lost:
            self.lost.pop(0).vanish()
        elif kind == "up" and line.connected:
            line.move_up(args[0])
        elif kind == "down" and line.connected:
            line.move_down(args[0])

    @property
    def got(self):
        assert all(call[-1] == "a string" for call in self.player.calls if call[0] == "v")
        return [call[1] for call in self.player.calls if call[0] == "n"]


def run(steps, slow):
    """Run a schedule."""

    async def main():
        schedule = Schedule(slow)
        schedule.line.connect()
        for _ in range(5):
            schedule.line.settle()
            await asyncio.sleep(0)
        assert schedule.player.space.pid
        for step in steps:
            await schedule.step(*step)
            if step[0] == "turn":
                await asyncio.sleep(0)
        for _ in range(10):
            schedule.line.settle()
            await asyncio.sleep(0)
        return schedule

    return asyncio.run(main())


@given(steps=STEPS, slow=st.booleans())
@example([("emit", None, False), ("drop",), ("connect",), ("up", 1), ("down", 4)], False)
@example([("cut",), ("connect",), ("up", 1), ("drop",), ("emit", None, False)], True)
@example([("emit", "r", False), ("join", "r"), ("cut",)], False)
@example([("join", "r"), ("emit", "r", False), ("leave", "r"), ("emit", "r", False)], True)
@example(
    [("join", "s"), ("emit", None, True), ("leave", "s"), ("emit", "s", True), ("cut",)], False
)
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost_doubled_or_out_of_order(steps, slow):
    schedule = run(steps, slow)
    assert schedule.got == schedule.expected
    assert schedule.connects[0] is False
    assert all(schedule.connects[1:])
