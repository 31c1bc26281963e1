"""The history in its file."""

import sqlite3
import stat
import sys
import threading
from itertools import count
from queue import Queue
from typing import Any

import pytest

from duplexio.chat.errors import StoreError
from duplexio.chat.events import Message
from duplexio.chat.store import MEMORY, Store
from duplexio.errors import UsageError

ids = count()


def message(text="hello", room="lobby", uid="ada", message_id=None):
    return Message(room, 0, message_id or f"m{next(ids)}", uid, "Ada", text, 1_700_000_000_000)


class Opened:
    """A store whose outcomes are waited for."""

    def __init__(self, path, **options):
        self.outcomes: Queue[Any] = Queue()
        self.store = Store(path, **options)
        self.store.start(lambda tell: tell())

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.store.close()

    def append(self, *args, **fields):
        self.store.append(message(*args, **fields), self.outcomes.put)
        return self.outcomes.get(timeout=10)

    def load(self, room="lobby", limit=100):
        self.store.load(room, limit, self.outcomes.put)
        return self.outcomes.get(timeout=10)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "chat.db"


def test_messages_are_numbered_per_room(path):
    with Opened(path) as opened:
        assert [opened.append().number for _ in range(3)] == [1, 2, 3]
        assert opened.append(room="tea").number == 1


def test_they_are_there_after_a_restart(path):
    with Opened(path) as opened:
        kept = [opened.append(f"t{i}") for i in range(3)]
        history, secret = opened.store.history, opened.store.secret
    with Opened(path) as opened:
        assert opened.load() == kept
        assert opened.append().number == 4
        assert (opened.store.history, opened.store.secret) == (history, secret)


def test_the_last_are_loaded_oldest_first(path):
    with Opened(path) as opened:
        for _ in range(10):
            opened.append()
        assert [kept.number for kept in opened.load(limit=3)] == [8, 9, 10]
        assert opened.load("empty") == []


def test_the_same_message_again_is_not_kept_twice(path):
    with Opened(path) as opened:
        opened.append(message_id="same")
        opened.append()
        assert opened.append("changed", message_id="same") == 1
        assert opened.append(message_id="same", uid="grace").number == 3
    with Opened(path) as opened:
        assert opened.append(message_id="same") == 1
        assert len(opened.load()) == 3


def test_only_so_many_are_kept_of_each_room(path):
    with Opened(path, keep=3) as opened:
        for _ in range(10):
            opened.append()
        opened.append(room="tea")
        assert [kept.number for kept in opened.load()] == [8, 9, 10]
        assert len(opened.load("tea")) == 1
        assert opened.append().number == 11


def test_all_are_kept(path):
    with Opened(path, keep=0) as opened:
        for _ in range(10):
            opened.append()
        assert len(opened.load()) == 10


def test_keeping_less_than_nothing():
    with pytest.raises(UsageError, match="-1"):
        Store(MEMORY, keep=-1)


def test_rooms_that_were_talked_in_last(path):
    with Opened(path) as opened:
        for i, room in enumerate(["old", "middle", "new", "new"]):
            opened.store.append(
                Message(room, 0, f"r{i}", "ada", "Ada", "x", i), opened.outcomes.put
            )
        for _ in range(4):
            opened.outcomes.get(timeout=10)
    store = Store(path)
    assert list(store.rooms(2).items()) == [("middle", 1), ("new", 2)]
    store.close()


def test_memory_is_a_history_of_its_own():
    with Opened(MEMORY) as one, Opened(MEMORY) as two:
        one.append()
        assert two.load() == []
        assert one.store.history != two.store.history


def test_many_at_once_keep_their_order(path):
    with Opened(path) as opened:
        for i in range(1000):
            opened.store.append(message(f"t{i}"), opened.outcomes.put)
        kept = [opened.outcomes.get(timeout=10) for _ in range(1000)]
        assert [item.text for item in kept] == [f"t{i}" for i in range(1000)]
        assert [item.number for item in kept] == list(range(1, 1001))


def test_closing_writes_what_was_asked_for(path):
    store = Store(path)
    posted: list[Any] = []
    store.start(posted.append)
    for _ in range(100):
        store.append(message(), lambda outcome: None)
    store.close()
    with Opened(path) as opened:
        assert len(opened.load(limit=1000)) == 100


def test_a_failure_reaches_all_of_its_transaction_and_the_next_is_tried(path):
    opened = Opened(path)
    nothing: Any = None
    bad = Message("lobby", 0, "bad", "ada", "Ada", nothing, 1)
    opened.store.append(bad, opened.outcomes.put)
    assert isinstance(opened.outcomes.get(timeout=10), sqlite3.Error)
    assert opened.append().number == 1
    opened.store.close()


def test_a_loop_that_is_gone_is_no_harm(path):
    def post(tell):
        raise RuntimeError("Event loop is closed")

    store = Store(path)
    store.start(post)
    store.append(message(), lambda outcome: None)
    store.close()
    with Opened(path) as opened:
        assert len(opened.load()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of Unix")
def test_nobody_else_can_read_it(path):
    with Opened(path) as opened:
        opened.append()
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


class TestFilesThatCannotBeUsed:
    def test_another_server_has_it(self, path, monkeypatch):
        monkeypatch.setattr("duplexio.chat.store._BUSY_TIMEOUT", 0.01)
        with Opened(path), pytest.raises(StoreError, match=r"in use.*--database"):
            Store(path)

    def test_it_waits_for_a_server_that_is_stopping(self, path):
        first = Store(path)
        threading.Timer(0.1, first.close).start()
        Store(path).close()

    def test_no_database(self, tmp_path):
        path = tmp_path / "notes.txt"
        path.write_text("Not a database, but some notes of mine." * 100)
        with pytest.raises(StoreError, match="is not an SQLite database"):
            Store(path)

    def test_the_database_of_another_program(self, tmp_path):
        path = tmp_path / "other.db"
        database = sqlite3.connect(path)
        database.execute("CREATE TABLE things (name)")
        database.close()
        with pytest.raises(StoreError, match="belongs to another program"):
            Store(path)

    def test_a_newer_version(self, path):
        Store(path).close()
        database = sqlite3.connect(path)
        database.execute("PRAGMA user_version = 99")
        database.close()
        with pytest.raises(StoreError, match="newer duplexio"):
            Store(path)

    def test_a_folder(self, tmp_path):
        with pytest.raises(StoreError, match="cannot be opened"):
            Store(tmp_path)
