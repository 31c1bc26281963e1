"""The parts of a client that know nothing of connections."""

import itertools

import pytest

from duplexio.errors import UsageError
from duplexio.socketio import ClientLimits, Limits
from duplexio.socketio import reconnection as states
from duplexio.socketio.delivery import MAX_BYTES, WINDOW, Deliveries, Delivery
from duplexio.socketio.exceptions import LimitExceededError
from duplexio.socketio.outbox import Budget, Outbox, Retries
from duplexio.socketio.reconnection import Backoff, Reconnection
from duplexio.socketio.recovery import OBJECT_ID, STREAM, YEAST, offset_kind

NOW = 1_796_000_000_000

# Reconnection


def test_delays_double_up_to_the_maximum():
    backoff = Backoff(delay=1, delay_max=5, randomization=0)
    assert [backoff.seconds(count, 0.9) for count in range(5)] == [1, 2, 4, 5, 5]
    assert backoff.seconds(10**6, 0.5) == 5


def test_delays_differ_by_chance():
    backoff = Backoff(delay=1, randomization=0.5)
    assert [backoff.seconds(0, chance) for chance in (0, 0.5, 1)] == [0.5, 1, 1.5]


@pytest.mark.parametrize(
    ("name", "value"),
    [("delay", -1), ("delay_max", -1), ("randomization", 1.1), ("attempts", -1)],
)
def test_settings_that_are_wrong(name, value):
    with pytest.raises(UsageError):
        Backoff(**{name: value})


def test_every_transition():
    events = (states.OPEN, states.SUCCEED, states.RETRY, states.DUE, states.STOP)
    all_states = (states.DISCONNECTED, states.CONNECTING, states.CONNECTED, states.WAITING)
    for state, event in itertools.product(all_states, events):
        seen = []
        machine = Reconnection(Backoff(), lambda: 0.5, seen.append)
        machine.state = state
        expected = states.TRANSITIONS.get((state, event))
        if expected is None:
            with pytest.raises(UsageError):
                machine.move(event)
            assert machine.state == state
            assert not seen
        else:
            assert machine.move(event) == expected
            assert seen == [expected]


def test_attempts_are_counted_from_each_loss():
    machine = Reconnection(Backoff(attempts=2, randomization=0), lambda: 0.5)
    machine.move(states.OPEN)
    machine.move(states.SUCCEED)
    for _ in range(2):
        assert machine.lost() == 1
        machine.move(states.DUE)
        assert machine.failed() == 2
        machine.move(states.DUE)
        machine.move(states.SUCCEED)
    machine.lost()
    machine.move(states.DUE)
    machine.failed()
    machine.move(states.DUE)
    assert machine.failed() is None
    assert machine.state == states.DISCONNECTED


# What is kept


def test_an_outbox_shares_its_budget():
    budget = Budget(2, 100)
    one, two = Outbox(budget), Outbox(budget)
    one.add(b"a", -1)
    two.add(b"b", 7)
    with pytest.raises(LimitExceededError):
        two.add(b"c", -1)
    two.remove(7)
    two.remove(7)
    assert two.ids() == set()
    one.add(b"c", 8)
    assert one.has(8)
    assert one.take() == [(b"a", -1), (b"c", 8)]
    assert (budget.packets, budget.bytes) == (0, 0)


@pytest.mark.parametrize("values", [(0, 1), (1, 0)])
def test_a_budget_of_nothing(values):
    with pytest.raises(UsageError):
        Budget(*values)


def test_retries_are_sent_again_in_order():
    retries = Retries(Budget(10, 100), 1, None)
    retries.deduplicates = True
    for id in (2, 4, 6):
        retries.add(id, b"x")
    assert [entry.id for entry in retries.to_send(0)] == [2, 4, 6]
    assert retries.to_send(0) == []
    retries.remove(4)
    assert retries.lost() == []
    assert [entry.id for entry in retries.to_send(0)] == [2, 6]
    assert retries.lost() == [2, 6]
    assert len(retries) == 0


def test_answers_that_are_overdue():
    retries = Retries(Budget(10, 100), 1, 5)
    retries.add(2, b"x")
    assert retries.due() == 0
    retries.to_send(10)
    assert retries.due() == 15
    assert retries.overdue(14) == []
    assert retries.to_send(14) == []
    assert retries.overdue(15) == []
    assert [entry.id for entry in retries.to_send(15)] == [2]
    assert retries.overdue(20) == [2]


# Offsets


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Q8fyIW0", YEAST),
        ("Q8fyIW0.a", YEAST),
        ("1796000000000-0", STREAM),
        ("6b0d0b00" + "a" * 16, OBJECT_ID),
        ("message", 0),
        ("aaaaaaa", 0),
        ("1000000000000-0", 0),
        ("507f1f77bcf86cd799439011", 0),
        ("", 0),
        ("Q8fyIW0.", 0),
        ("Q8fyIW0\n", 0),
        ("x" * 1000, 0),
    ],
)
def test_offsets(text, kind):
    assert offset_kind(text, NOW) == kind


# Emits that come again, at the server


def test_emits_are_known_again():
    delivery = Delivery()
    assert delivery.admit(2)
    assert not delivery.admit(2)
    assert delivery.answer_of(2) == (False, None)
    delivery.answered(2, b"3")
    assert delivery.answer_of(2) == (True, b"3")
    delivery.forget(2)
    assert not delivery.admit(2)
    assert delivery.admit(4)
    delivery.forget(4)
    assert delivery.admit(4)


def test_the_window_moves():
    delivery = Delivery()
    for id in range(0, 4 * WINDOW, 2):
        assert delivery.admit(id)
        delivery.answered(id, b"x" * 100)
    # What is older than the window has been acknowledged long ago.
    assert not delivery.admit(0)
    assert delivery.answer_of(0) == (True, None)


def test_answers_are_bounded():
    delivery = Delivery()
    for id in (2, 4, 6):
        delivery.admit(id)
        delivery.answered(id, bytes(MAX_BYTES // 2))
    assert [answer is None for _, answer in map(delivery.answer_of, (2, 4, 6))] == [
        True,
        False,
        False,
    ]


def test_clients_are_bounded():
    deliveries = Deliveries(2)
    one = deliveries.find("/", "a", "client")
    assert deliveries.find("/", "a", "again") is one
    assert one.client == "again"
    assert deliveries.find("/x", "a", "c") is not one
    deliveries.find("/", "a", "c")
    deliveries.find("/", "b", "c")
    assert len(deliveries) == 2
    assert deliveries.find("/", "a", "c") is one


@pytest.mark.parametrize("id", ["", None, 7, "x" * 65, ["a"]])
def test_ids_that_are_none(id):
    assert Deliveries(2).find("/", id, None) is None


# Limits


@pytest.mark.parametrize("name", ["max_early_events", "max_offline_bytes", "max_received"])
def test_limits_of_a_client(name):
    assert getattr(ClientLimits(**{name: 7}), name) == 7
    with pytest.raises(UsageError, match=name):
        ClientLimits(**{name: 0})
    assert not hasattr(Limits(), name)
