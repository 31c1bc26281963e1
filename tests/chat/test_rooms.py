"""The rooms, with a clock that the tests turn."""

from itertools import count

import pytest

from duplexio.chat.errors import ChatError
from duplexio.chat.events import Message
from duplexio.chat.identity import Identities
from duplexio.chat.limits import Limits
from duplexio.chat.rooms import Entry, Hub, Seat


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class FakeSeat(Seat):
    def __init__(self):
        super().__init__()
        self.events = []

    def deliver(self, event):
        self.events.append(event)

    def take(self):
        events, self.events = self.events, []
        return events

    def kinds(self):
        return [event.kind for event in self.take()]


class LineSeat(FakeSeat):
    resumable = False


class Chat:
    """A hub, and the history that keeps each message at once."""

    def __init__(self, known=None, shown=50, **limits):
        self.clock = Clock()
        numbers = count(1)
        self.identities = Identities(b"secret", lambda n: next(numbers).to_bytes(n, "big"))
        self.hub = Hub(Limits(**limits), self.identities, self.clock, "h1", shown, known)
        self.ids = count(1)

    def enter(self, name, room="lobby", seat=None, **fields):
        seat = seat or FakeSeat()
        self.hub.open_room(room, [])
        self.hub.enter(seat, Entry(room=room, name=name, **fields))
        return seat

    def again(self, before, **fields):
        """Enter as who sat on another seat."""
        welcome = before.welcome
        seat = FakeSeat()
        self.enter("other", welcome["room"], seat, uid=welcome["uid"], key=welcome["key"], **fields)
        return seat

    def say(self, seat, text):
        message = self.hub.say(seat, f"m{next(self.ids)}", text, 1)
        room = self.hub.rooms[message.room]
        kept = Message(
            message.room, room.last + 1, message.id, message.uid, message.name, message.text, 1
        )
        self.hub.kept(kept)
        return kept

    def member(self, name, room="lobby"):
        """Enter, and forget what was told."""
        seat = self.enter(name, room)
        seat.welcome = welcome_of(seat)
        return seat

    def later(self, seconds):
        """Let time pass, as a timer would."""
        end = self.clock.now + seconds
        while (due := self.hub.due()) is not None and due <= end:
            self.clock.now = max(self.clock.now, due)
            self.hub.tick()
        self.clock.now = end


def welcome_of(seat):
    (event,) = (event for event in seat.take() if event.kind == "welcome")
    return event.data


@pytest.fixture
def chat():
    return Chat()


class TestEntering:
    def test_a_newcomer_gets_a_uid_and_is_told_who_is_here(self, chat):
        chat.member("Ada")
        welcome = welcome_of(chat.enter("Grace"))
        assert welcome["name"] == "Grace"
        assert welcome["uid"] != ""
        assert chat.identities.owns(welcome["uid"], welcome["key"])
        assert [member["name"] for member in welcome["members"]] == ["Ada", "Grace"]
        assert welcome["limits"] == {"text": 4000, "name": 24, "room": 32}

    def test_every_newcomer_gets_another_uid(self, chat):
        uids = {chat.member(f"n{i}").welcome["uid"] for i in range(20)}
        assert len(uids) == 20

    def test_the_others_are_told_and_the_newcomer_is_not(self, chat):
        ada = chat.member("Ada")
        grace = chat.enter("Grace")
        (joined,) = ada.take()
        assert (joined.kind, joined.data["name"], joined.data["quiet"]) == (
            "joined",
            "Grace",
            False,
        )
        assert joined.lines == ["Grace Login"]
        assert grace.kinds() == ["welcome"]

    @pytest.mark.parametrize("name", ["Ada", "ada", " A\u200bDA "])
    def test_a_name_is_taken_once_per_room(self, chat, name):
        chat.member("Ada")
        with pytest.raises(ChatError, match="is taken") as caught:
            chat.enter(name)
        assert caught.value.code == "name_taken"
        chat.member(name, "tea")

    def test_a_free_name_is_proposed(self, chat):
        chat.member("Ada")
        chat.member("Ada2")
        with pytest.raises(ChatError, match="Ada3 is free"):
            chat.enter("Ada")

    def test_a_proposed_name_is_not_too_long(self, chat):
        chat.member("x" * 24)
        with pytest.raises(ChatError, match=r" x{23}2 is free"):
            chat.enter("x" * 24)

    def test_a_full_room(self):
        chat = Chat(members=2)
        chat.member("a")
        chat.member("b")
        with pytest.raises(ChatError, match="room lobby is full, with 2"):
            chat.enter("c")

    def test_too_many_rooms(self):
        chat = Chat(rooms=2)
        chat.member("a", "one")
        chat.member("b", "two")
        with pytest.raises(ChatError, match="2 rooms are open"):
            chat.enter("c", "three")
        chat.member("d", "two")

    def test_a_refused_entry_leaves_no_room_open(self, chat):
        with pytest.raises(ChatError):
            chat.enter("", "empty")
        assert chat.hub.rooms == {}

    def test_changing_rooms_leaves_the_first(self, chat):
        ada, grace = chat.member("Ada"), chat.member("Grace")
        ada.take()
        chat.enter("Grace", "tea", grace)
        assert ada.kinds() == ["left"]
        assert set(chat.hub.rooms) == {"lobby", "tea"}

    def test_a_refused_change_of_rooms_leaves_everything(self, chat):
        ada = chat.member("Ada")
        chat.member("Ada", "tea")
        with pytest.raises(ChatError):
            chat.enter("Ada", "tea", ada)
        assert ada.member.room.name == "lobby"

    def test_the_last_who_leaves_closes_the_room(self, chat):
        ada = chat.member("Ada")
        chat.hub.leave(ada)
        assert chat.hub.rooms == {}


class TestComingBack:
    def test_with_the_key_it_is_the_same_member(self, chat):
        ada, grace = chat.member("Ada"), chat.member("Grace")
        ada.take()
        chat.hub.drop(grace)
        again = chat.again(grace)
        welcome = welcome_of(again)
        assert (welcome["uid"], welcome["name"]) == (grace.welcome["uid"], "Grace")
        chat.later(60)
        assert "left" not in ada.kinds()

    def test_with_a_wrong_key_it_is_somebody_else(self, chat):
        grace = chat.member("Grace")
        thief = chat.enter("Thief", uid=grace.welcome["uid"], key="0" * 32)
        assert welcome_of(thief)["uid"] != grace.welcome["uid"]

    def test_who_does_not_come_back_has_left_after_a_while(self, chat):
        ada, grace = chat.member("Ada"), chat.member("Grace")
        chat.later(2)
        ada.take()
        chat.hub.drop(grace)
        chat.later(7.9)
        assert ada.kinds() == []
        chat.later(0.2)
        (left, _) = ada.take()
        assert (left.kind, left.lines) == ("left", ["Grace Logout"])

    def test_coming_and_going_again_starts_the_time_anew(self, chat):
        ada, grace = chat.member("Ada"), chat.member("Grace")
        chat.hub.drop(grace)
        chat.later(5)
        again = chat.again(grace)
        chat.hub.drop(again)
        ada.take()
        chat.later(5)
        assert "left" not in ada.kinds()
        chat.later(5)
        assert "left" in ada.kinds()

    def test_clients_that_cannot_come_back_have_left_at_once(self, chat):
        ada = chat.member("Ada")
        lines = chat.enter("Netscape", seat=LineSeat())
        ada.take()
        chat.hub.drop(lines)
        assert ada.kinds() == ["left"]

    def test_several_tabs_are_one_member(self, chat):
        ada, grace = chat.member("Ada"), chat.member("Grace")
        ada.take()
        tab = chat.again(grace)
        chat.say(ada, "hi")
        assert "message" in tab.kinds()
        assert "message" in grace.kinds()
        chat.hub.leave(tab)
        assert "left" not in ada.kinds()

    def test_too_many_tabs(self):
        chat = Chat(seats=2)
        grace = chat.member("Grace")
        chat.again(grace)
        with pytest.raises(ChatError, match="2 times already"):
            chat.again(grace)

    def test_the_name_of_somebody_whose_connection_is_lost_can_be_taken(self, chat):
        ada, grace = chat.member("Ada"), chat.member("Grace")
        chat.hub.drop(grace)
        ada.take()
        other = chat.enter("Grace")
        assert welcome_of(other)["uid"] != grace.welcome["uid"]
        assert ada.kinds() == ["left", "joined"]
        chat.later(60)
        assert "left" not in ada.kinds()

    def test_nobody_is_announced_who_comes_back_after_a_restart(self):
        before, after = Chat(), Chat()
        ada, grace = before.member("Ada"), before.member("Grace")
        back = after.enter("Ada", uid=ada.welcome["uid"], key=ada.welcome["key"], history="h1")
        back.take()
        after.enter(
            "Grace", uid=grace.welcome["uid"], key=grace.welcome["key"], history="h1", last=0
        )
        (joined,) = back.take()
        assert joined.data["quiet"]
        assert joined.lines == []

    def test_long_after_a_restart_they_are(self):
        before, after = Chat(), Chat()
        before.member("Ada")
        grace = before.member("Grace")
        ada = after.member("Ada")
        after.later(60)
        ada.take()
        after.enter("Grace", uid=grace.welcome["uid"], key=grace.welcome["key"], history="h1")
        (joined,) = ada.take()
        assert not joined.data["quiet"]


class TestMessages:
    def test_everybody_in_the_room_is_told_also_the_speaker(self, chat):
        ada, grace, tea = chat.member("Ada"), chat.member("Grace"), chat.member("Tea", "tea")
        ada.take()
        chat.say(ada, "hello")
        for seat in (ada, grace):
            (event,) = seat.take()
            assert event.kind == "message"
            assert event.data["n"] == 1
            assert event.data["name"] == "Ada"
            assert event.data["text"] == "hello"
            assert event.lines == ["Ada:hello"]
        assert tea.kinds() == []

    def test_one_encoding_for_all(self, chat):
        ada, grace = chat.member("Ada"), chat.member("Grace")
        ada.take()
        chat.say(ada, "hello")
        assert ada.take()[0].json is grace.take()[0].json

    def test_numbers_without_gaps_per_room(self, chat):
        ada, tea = chat.member("Ada"), chat.member("Tea", "tea")
        assert [chat.say(ada, "x").number for _ in range(3)] == [1, 2, 3]
        assert chat.say(tea, "x").number == 1

    def test_nothing_is_told_before_it_is_kept(self, chat):
        ada = chat.member("Ada")
        message = chat.hub.say(ada, "m1", "hello", 1)
        assert ada.kinds() == []
        chat.hub.not_kept(message)
        assert ada.kinds() == []

    def test_a_room_stays_open_while_something_is_being_kept(self, chat):
        ada = chat.member("Ada")
        message = chat.hub.say(ada, "m1", "hello", 1)
        chat.hub.leave(ada)
        assert set(chat.hub.rooms) == {"lobby"}
        chat.hub.not_kept(message)
        assert chat.hub.rooms == {}

    def test_a_newcomer_gets_the_last(self):
        chat = Chat(shown=3, burst=100)
        ada = chat.member("Ada")
        for i in range(1, 11):
            chat.say(ada, f"t{i}")
        welcome = welcome_of(chat.enter("Grace"))
        assert [message["n"] for message in welcome["messages"]] == [8, 9, 10]
        assert welcome["missed"] == 0
        assert welcome["last"] == 10

    def test_showing_none(self):
        chat = Chat(shown=0)
        chat.say(chat.member("Ada"), "hello")
        assert welcome_of(chat.enter("Grace"))["messages"] == []

    def test_who_comes_back_gets_what_was_missed(self):
        chat = Chat(shown=2, burst=100)
        ada, grace = chat.member("Ada"), chat.member("Grace")
        for i in range(1, 11):
            chat.say(ada, f"t{i}")
        welcome = welcome_of(chat.again(grace, history="h1", last=4))
        assert [message["n"] for message in welcome["messages"]] == [5, 6, 7, 8, 9, 10]
        assert welcome["missed"] == 0

    def test_what_is_too_long_ago_is_counted(self):
        chat = Chat(replay=5, burst=100)
        ada, grace = chat.member("Ada"), chat.member("Grace")
        for i in range(1, 11):
            chat.say(ada, f"t{i}")
        welcome = welcome_of(chat.again(grace, history="h1", last=2))
        assert [message["n"] for message in welcome["messages"]] == [6, 7, 8, 9, 10]
        assert welcome["missed"] == 3

    def test_nothing_was_missed(self, chat):
        ada, grace = chat.member("Ada"), chat.member("Grace")
        chat.say(ada, "one")
        welcome = welcome_of(chat.again(grace, history="h1", last=1))
        assert (welcome["messages"], welcome["missed"]) == ([], 0)

    def test_the_numbers_of_another_history_mean_nothing(self, chat):
        ada, grace = chat.member("Ada"), chat.member("Grace")
        chat.say(ada, "one")
        welcome = welcome_of(chat.again(grace, history="h0", last=50))
        assert [message["n"] for message in welcome["messages"]] == [1]

    def test_speaking_without_a_room(self, chat):
        with pytest.raises(ChatError, match="Enter one first"):
            chat.hub.say(FakeSeat(), "m1", "hello", 1)

    def test_too_long(self):
        chat = Chat(text=10)
        with pytest.raises(ChatError, match="11 characters; 10 at most"):
            chat.say(chat.member("Ada"), "x" * 11)


class TestRate:
    def test_a_burst_then_so_many_a_second(self):
        chat = Chat(burst=3, rate=2.0)
        ada = chat.member("Ada")
        chat.say(ada, "1")
        chat.say(ada, "2")
        with pytest.raises(ChatError, match="too fast") as caught:
            chat.say(ada, "3")
        assert caught.value.code == "too_fast"
        assert caught.value.retry == pytest.approx(0.5)
        chat.clock.now += 0.5
        chat.say(ada, "3")
        with pytest.raises(ChatError):
            chat.say(ada, "4")

    def test_refused_texts_cost_nothing(self):
        chat = Chat(burst=3)
        ada = chat.member("Ada")
        for _ in range(10):
            with pytest.raises(ChatError, match="empty"):
                chat.say(ada, " ")
        chat.say(ada, "1")

    def test_one_does_not_slow_another(self):
        chat = Chat(burst=2)
        ada, grace = chat.member("Ada"), chat.member("Grace")
        chat.say(ada, "1")
        with pytest.raises(ChatError):
            chat.say(ada, "2")
        chat.say(grace, "1")


class TestTyping:
    def test_the_others_are_told(self, chat):
        ada, grace = chat.member("Ada"), chat.member("Grace")
        ada.take()
        chat.hub.typing(grace)
        assert ada.kinds() == ["typing"]
        assert grace.kinds() == []

    def test_not_more_often_than_once_a_second(self, chat):
        ada, grace = chat.member("Ada"), chat.member("Grace")
        ada.take()
        for _ in range(10):
            chat.hub.typing(grace)
        chat.clock.now += 1
        chat.hub.typing(grace)
        assert ada.kinds() == ["typing", "typing"]

    def test_at_once_after_a_message(self, chat):
        ada, grace = chat.member("Ada"), chat.member("Grace")
        chat.hub.typing(grace)
        chat.say(grace, "hi")
        ada.take()
        chat.hub.typing(grace)
        assert ada.kinds() == ["typing"]


class TestListing:
    def test_the_fullest_first(self, chat):
        for name, room in [("a", "tea"), ("b", "tea"), ("c", "lobby"), ("d", "art")]:
            chat.member(name, room)
        assert [(room["name"], room["members"]) for room in chat.hub.listing()] == [
            ("tea", 2),
            ("art", 1),
            ("lobby", 1),
        ]

    def test_rooms_of_the_history_are_known(self):
        chat = Chat(known={"tea": 7})
        assert chat.hub.listing() == [
            {"name": "lobby", "members": 0, "last": 0},
            {"name": "tea", "members": 0, "last": 7},
        ]

    def test_changes_are_told_once_a_second_at_most(self, chat):
        ada = chat.member("Ada")
        chat.later(5)
        ada.take()
        for i in range(5):
            chat.member(f"n{i}", "tea")
        chat.later(0.9)
        assert ada.kinds() == ["rooms"]
        chat.member("last", "tea")
        assert ada.kinds() == []
        chat.later(1)
        (event,) = ada.take()
        assert event.data["rooms"][0] == {"name": "tea", "members": 6, "last": 0}

    def test_nothing_is_due_when_nothing_happens(self, chat):
        chat.member("Ada")
        chat.later(5)
        assert chat.hub.due() is None

    def test_it_is_bounded(self):
        chat = Chat(rooms=3)
        for i in range(10):
            seat = chat.member("Ada", f"room{i}")
            chat.say(seat, "x")
            chat.hub.leave(seat)
        listed = [room["name"] for room in chat.hub.listing()]
        assert len(listed) == 3
        assert "lobby" in listed
        assert "room9" in listed
