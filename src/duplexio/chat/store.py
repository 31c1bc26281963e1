"""The history: an SQLite file, and the thread that reads and writes it.

The event loop never waits for the disk. Messages are kept before they are told to anybody, so that
no number is ever given twice, not even when the server is killed; those that arrive while a
transaction is being written go together into the next one.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec

from ..errors import UsageError
from .errors import StoreError
from .events import Message

__all__ = ["MEMORY", "Store"]

#: The name of a database that is gone with its server.
MEMORY = ":memory:"

# "PRAGMA user_version" of the files that this code writes.
_VERSION = 1
_MOST_PER_TRANSACTION = 256
# Seconds to wait for another program that has the file, such as our predecessor that is stopping.
_BUSY_TIMEOUT = 5.0

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE messages (
    room TEXT NOT NULL,
    number INTEGER NOT NULL,
    id TEXT NOT NULL,
    uid TEXT NOT NULL,
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (room, number)
) WITHOUT ROWID;
CREATE UNIQUE INDEX messages_by_sender ON messages (uid, id);
"""

_NEXT = "SELECT coalesce(max(number), 0) + 1 FROM messages WHERE room = ?"
# Does nothing when the sender's client has sent the message before.
_INSERT = """
INSERT INTO messages (room, number, id, uid, name, text, time)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (uid, id) DO NOTHING
"""

Outcome = Callable[[Any], None]
Work = Callable[[sqlite3.Connection], Any]


class Store:
    """The messages of all rooms, in a file.

    Args:
        path: The file, which is made if it is not there; :data:`MEMORY` keeps nothing.
        keep: How many messages of each room to keep; older ones are deleted. 0 keeps all.

    Attributes:
        history: The id of this history.
        secret: A secret that belongs to it.

    Raises:
        StoreError: When the file cannot be used.
        UsageError: When ``keep`` is negative.
    """

    def __init__(self, path: str | Path, keep: int = 10_000) -> None:
        if keep < 0:
            raise UsageError(f"keep is {keep}; expected 0 for all, or a number of messages")
        self.path = str(path)
        self._keep = keep
        self._jobs: SimpleQueue[tuple[Work, Outcome] | None] = SimpleQueue()
        self._post: Callable[[Callable[[], None]], Any] | None = None
        self._thread: threading.Thread | None = None
        try:
            self._database = self._open()
        except (sqlite3.Error, OSError) as exc:
            raise StoreError(self._explain(exc)) from exc
        self.history, self.secret = self._read_meta()

    def _open(self) -> sqlite3.Connection:
        if self.path != MEMORY:
            file = Path(self.path)
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # What people say, and the secret, are nobody else's business on this machine.
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        database = sqlite3.connect(
            self.path, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
        )
        try:
            # Two servers on one file would not hear each other's visitors.
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("BEGIN EXCLUSIVE")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise StoreError(
                    f"The database {self.path} was written by a newer duplexio (its version is"
                    f" {version}, this one reads up to {_VERSION}). Choose another file with"
                    " --database, or install the newer duplexio."
                )
            if version == 0:
                self._create(database)
            database.execute("COMMIT")
        except BaseException:
            database.close()
            raise
        return database

    def _create(self, database: sqlite3.Connection) -> None:
        if database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise StoreError(
                f"The database {self.path} belongs to another program: it has tables that are not"
                " a chat's. Choose another file with --database."
            )
        for statement in _SCHEMA.split(";"):
            if statement.strip():
                database.execute(statement)
        database.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [
                ("history", secrets.token_hex(8).encode()),
                ("secret", secrets.token_bytes(32)),
            ],
        )
        database.execute(f"PRAGMA user_version = {_VERSION}")

    def _read_meta(self) -> tuple[str, bytes]:
        meta = dict(self._database.execute("SELECT key, value FROM meta"))
        return meta["history"].decode(), meta["secret"]

    def _explain(self, exc: Exception) -> str:
        if isinstance(exc, sqlite3.OperationalError) and "locked" in str(exc):
            return (
                f"The database {self.path} is in use, probably by another `duplexio chat`."
                " Stop that one, or choose another file with --database."
            )
        if isinstance(exc, sqlite3.DatabaseError) and "not a database" in str(exc):
            return (
                f"The file {self.path} is not an SQLite database."
                " Choose another file with --database."
            )
        return f"The database {self.path} cannot be opened: {exc}. Choose another with --database."

    def rooms(self, limit: int) -> dict[str, int]:
        """Return the rooms that were talked in last, with the number of the last message.

        Args:
            limit: How many rooms at most.

        It reads the file in the calling thread, so use it before :meth:`start`.
        """
        rows = self._database.execute(
            "SELECT room, max(number) FROM messages GROUP BY room ORDER BY max(time) DESC LIMIT ?",
            (limit,),
        )
        return dict(reversed(rows.fetchall()))

    # The thread

    def start(self, post: Callable[[Callable[[], None]], Any]) -> None:
        """Start the thread.

        Args:
            post: Called in the thread with a function, which it has to run where the outcomes are
                wanted: ``loop.call_soon_threadsafe``.
        """
        self._post = post
        self._thread = threading.Thread(target=self._run, name="duplexio-chat-store", daemon=True)
        self._thread.start()

    def append(self, message: Message, outcome: Outcome) -> None:
        """Keep a message.

        Args:
            message: The message, without its number.
            outcome: Called later with the message with its number, with the number alone when it
                was kept before, or with an exception.
        """
        self._jobs.put((lambda database: self._insert(database, message), outcome))

    def load(self, room: str, limit: int, outcome: Outcome) -> None:
        """Read the last messages of a room.

        Args:
            room: The room.
            limit: How many at most.
            outcome: Called later with the list, the oldest first, or with an exception.
        """
        self._jobs.put((lambda database: _read(database, room, limit), outcome))

    def close(self) -> None:
        """Do what is asked for already, and close the file; waits for it."""
        if self._thread is None:
            self._database.close()
        else:
            self._jobs.put(None)
            self._thread.join()

    def _run(self) -> None:
        ended = False
        while not ended:
            job = self._jobs.get()
            jobs = []
            while job is not None:
                jobs.append(job)
                if len(jobs) == _MOST_PER_TRANSACTION or self._jobs.empty():
                    break
                job = self._jobs.get()
            ended = job is None
            if jobs:
                self._do(jobs)
        self._database.close()

    def _do(self, jobs: list[tuple[Work, Outcome]]) -> None:
        """Do some work in one transaction, and post the outcomes in the same order."""
        database = self._database
        results: list[Any]
        try:
            database.execute("BEGIN IMMEDIATE")
            results = [work(database) for work, _ in jobs]
            database.execute("COMMIT")
        except Exception as exc:
            # Whatever it is, those who wait must hear of it, and the thread goes on.
            if database.in_transaction:
                database.execute("ROLLBACK")
            results = [exc] * len(jobs)

        def tell() -> None:
            for (_, outcome), result in zip(jobs, results, strict=True):
                outcome(result)

        assert self._post is not None
        try:
            self._post(tell)
        except RuntimeError:
            pass  # the loop is closed: nobody is there to be told

    def _insert(self, database: sqlite3.Connection, message: Message) -> Message | int:
        (number,) = database.execute(_NEXT, (message.room,)).fetchone()
        kept = msgspec.structs.replace(message, number=number)
        if database.execute(_INSERT, msgspec.structs.astuple(kept)).rowcount == 0:
            (number,) = database.execute(
                "SELECT number FROM messages WHERE uid = ? AND id = ?", (message.uid, message.id)
            ).fetchone()
            return int(number)
        if self._keep:
            database.execute(
                "DELETE FROM messages WHERE room = ? AND number <= ?",
                (message.room, number - self._keep),
            )
        return kept


def _read(database: sqlite3.Connection, room: str, limit: int) -> list[Message]:
    rows = database.execute(
        "SELECT room, number, id, uid, name, text, time FROM messages"
        " WHERE room = ? ORDER BY number DESC LIMIT ?",
        (room, limit),
    ).fetchall()
    return [Message(*row) for row in reversed(rows)]
