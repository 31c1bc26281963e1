"""The timer wheel, with a clock that only tests move."""

import random

import pytest

from duplexio.websocket.timers import SLOTS_PER_SECOND, TimerWheel

STEP = 1 / SLOTS_PER_SECOND


class Handle:
    """A timer of the clock."""

    def __init__(self, when, callback):
        self._when = when
        self._callback = callback
        self._cancelled = False

    def when(self):
        return self._when

    def cancel(self):
        self._cancelled = True


class Clock:
    """The part of an event loop that the wheel uses."""

    def __init__(self):
        self.now = 1000.0
        self.timers = []
        self.failures = []

    def time(self):
        return self.now

    def call_at(self, when, callback):
        handle = Handle(when, callback)
        self.timers.append(handle)
        return handle

    def call_exception_handler(self, context):
        self.failures.append(context)

    def advance(self, seconds, late=0.0):
        """Let time pass; timers are called when they are due, or `late` seconds after."""
        end = self.now + seconds
        while True:
            waiting = [timer for timer in self.timers if not timer._cancelled]
            self.timers = waiting
            earliest = min(waiting, key=lambda timer: timer.when(), default=None)
            if earliest is None or earliest.when() > end:
                break
            self.now = max(self.now, earliest.when()) + late
            waiting.remove(earliest)
            earliest._callback()
        self.now = max(self.now, end)


class Owner:
    def __init__(self, clock):
        self.clock = clock
        self.due = 0.0
        self.slot = -1
        self.place = 0
        self.calls = []

    def on_due(self, now, lag):
        self.calls.append((now, lag))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def wheel(clock):
    return TimerWheel(clock)


def test_never_early_and_at_most_one_slot_late(clock, wheel):
    rng = random.Random(7)
    owners = []
    for _ in range(300):
        owner = Owner(clock)
        owner.wanted = clock.now + rng.uniform(0, 5)
        wheel.schedule(owner, owner.wanted)
        owners.append(owner)
    clock.advance(6)
    for owner in owners:
        ((now, lag),) = owner.calls
        assert owner.wanted <= now <= owner.wanted + STEP + 1e-6
        assert lag < 1e-6


def test_pushing_back_needs_no_timer(clock, wheel):
    owner = Owner(clock)
    wheel.schedule(owner, clock.now + 1)
    timers = len(clock.timers)
    for _ in range(1000):
        clock.now += 0.0005
        wheel.schedule(owner, clock.now + 1)
    assert len(clock.timers) == timers
    clock.advance(2)
    ((now, _),) = owner.calls
    assert 1001.5 <= now <= 1001.5 + STEP + 1e-6


def test_bringing_forward(clock, wheel):
    owner = Owner(clock)
    wheel.schedule(owner, clock.now + 5)
    wheel.schedule(owner, clock.now + 1)
    clock.advance(6)
    assert len(owner.calls) == 1
    assert owner.calls[0][0] <= 1001 + STEP + 1e-6


def test_cancelling(clock, wheel):
    owners = [Owner(clock) for _ in range(4)]
    for owner in owners:
        wheel.schedule(owner, clock.now + 1)
    wheel.cancel(owners[0])
    wheel.cancel(owners[3])
    wheel.cancel(owners[3])
    clock.advance(2)
    assert [len(owner.calls) for owner in owners] == [0, 1, 1, 0]
    assert all(owner.slot == -1 and owner.due == 0 for owner in owners)


def test_setting_the_next_one_when_called(clock, wheel):
    class Again(Owner):
        def on_due(self, now, lag):
            super().on_due(now, lag)
            if len(self.calls) < 3:
                wheel.schedule(self, now + 1)

    owner = Again(clock)
    wheel.schedule(owner, clock.now + 1)
    clock.advance(10)
    assert len(owner.calls) == 3
    assert not [timer for timer in clock.timers if not timer._cancelled]


def test_one_owner_may_cancel_another(clock, wheel):
    victim = Owner(clock)

    class Killer(Owner):
        def on_due(self, now, lag):
            super().on_due(now, lag)
            wheel.cancel(other[self])

    killers = [Killer(clock), Killer(clock)]
    other = {killers[0]: killers[1], killers[1]: killers[0]}
    for owner in (*killers, victim):
        wheel.schedule(owner, clock.now + 1)
    clock.advance(2)
    assert sum(len(owner.calls) for owner in killers) == 1
    assert len(victim.calls) == 1


def test_one_that_raises_does_not_stop_the_others(clock, wheel):
    class Bad(Owner):
        def on_due(self, now, lag):
            raise ZeroDivisionError

    good = Owner(clock)
    wheel.schedule(Bad(clock), clock.now + 1)
    wheel.schedule(good, clock.now + 1)
    clock.advance(2)
    assert len(good.calls) == 1
    assert isinstance(clock.failures[0]["exception"], ZeroDivisionError)


def test_a_late_wake_up_is_told(clock, wheel):
    owner = Owner(clock)
    wheel.schedule(owner, clock.now + 1)
    clock.advance(2, late=0.5)
    ((_, lag),) = owner.calls
    assert lag == pytest.approx(0.5, abs=1e-6)


def test_against_a_plain_list_of_deadlines(clock, wheel):
    rng = random.Random(11)
    owners = [Owner(clock) for _ in range(50)]
    wanted = {}
    for _ in range(2000):
        owner = rng.choice(owners)
        if rng.random() < 0.2:
            wheel.cancel(owner)
            wanted.pop(owner, None)
        else:
            wanted[owner] = clock.now + rng.uniform(0, 2)
            wheel.schedule(owner, wanted[owner])
        calls = {owner: len(owner.calls) for owner in owners}
        clock.advance(rng.uniform(0, 0.05))
        for owner in owners:
            if len(owner.calls) > calls[owner]:
                assert len(owner.calls) == calls[owner] + 1
                assert wanted.pop(owner) <= owner.calls[-1][0]
        assert all(due >= clock.now - STEP - 1e-6 for due in wanted.values())
