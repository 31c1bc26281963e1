"""Clients without WebSockets: a GET that waits for news, and a POST.

``POST /poll/enter`` begins a session and gives its token; ``GET /poll/events?session=…&after=…``
waits up to 30 seconds for what the client is told, and ``POST /poll/send?session=…`` takes what it
says. What is told is numbered, and held until the next GET confirms it, so that an answer that is
lost on the way is given again.

A body in JSON begins a session of the chat's own protocol. A body of form fields begins one of
plain lines, for browsers and programs that know nothing of JSON: there the answer of the GET is the
number to continue with, and then each line in the percent-encoding of URLs.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from urllib.parse import parse_qs, quote

from ..errors import ProtocolError
from ..websocket.origins import Origins, check_origin
from .errors import ChatError
from .events import error_event
from .http import BodyTooLarge, Receive, Scope, Send, header, read_body, respond
from .service import Service
from .sessions import JsonSession, LineSession

__all__ = ["Polling"]

_JSON = "application/json"
_NO_STORE = (b"cache-control", b"no-store")
_GONE = ChatError("gone", "This session has ended. Enter the room again.")

Fields = dict[str, str]


class Poll:
    """A polling client, and the outlet of its session.

    Args:
        service: The rooms.
        fields: What a client of plain lines has sent to begin; ``None`` for JSON.

    Attributes:
        session: The session.
        token: Names it in requests; nobody else can guess it.
        ended: Whether it is over.
    """

    def __init__(self, service: Service, fields: Fields | None) -> None:
        self.service = service
        self.token = secrets.token_urlsafe(18)
        self.ended = False
        self.events: deque[str] = deque()
        self.first = 0  # the number of events[0]
        self.news = asyncio.Event()
        self.waiting = 0
        self.seen = asyncio.get_running_loop().time()
        self._bytes = 0
        self.lines = fields is not None
        self.session: JsonSession | LineSession
        if fields is None:
            self.session = JsonSession(service, self)
        else:
            self.session = LineSession(service, self, fields.get("room", ""))

    def send(self, text: str) -> None:
        """Hold something that the client is told until it asks."""
        if self.ended:
            return
        self.events.append(text)
        self._bytes += len(text)
        if self._bytes > self.service.limits.backlog:
            self.end(1013, "the client is too slow")
        self.news.set()

    def end(self, code: int, reason: str) -> None:
        """End the session; what is held can still be asked for."""
        self.ended = True
        self.news.set()

    def confirm(self, after: int) -> None:
        """Forget what the client has received."""
        while self.events and self.first < after:
            self._bytes -= len(self.events.popleft())
            self.first += 1

    def answer(self) -> tuple[str, str]:
        """Return the answer with all that is held, and its content type."""
        following = self.first + len(self.events)
        if self.lines:
            lines = [str(following), *(quote(text, safe="") for text in self.events)]
            return "\n".join(lines) + "\n", "text/plain; charset=us-ascii"
        return f'{{"next":{following},"events":[{",".join(self.events)}]}}', _JSON

    async def wait(self, seconds: float) -> None:
        """Wait until there is news, or a later request of the same client."""
        self.waiting += 1
        turn = self.waiting
        self.news.set()
        try:
            async with asyncio.timeout(seconds):
                while not self.events and not self.ended and turn == self.waiting:
                    await self.news.wait()
                    self.news.clear()
        except TimeoutError:
            pass


class Polling:
    """The polling clients of a server.

    Args:
        service: The rooms.
        origins: Origins whose pages may post.
    """

    def __init__(self, service: Service, origins: Origins) -> None:
        self._service = service
        self._origins = origins
        self._polls: dict[str, Poll] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request below ``/poll/``."""
        action = scope["path"].removeprefix(scope.get("root_path") or "").removeprefix("/poll/")
        as_json = True
        try:
            if self._closed:
                raise ChatError("restart", "The server is restarting. Try again in a moment.", 1.0)
            if action == "events" and scope["method"] == "GET":
                await self._events(scope, receive, send)
            elif action in ("enter", "send") and scope["method"] == "POST":
                self._check_origin(scope)
                as_json = (header(scope, b"content-type") or "").startswith(_JSON)
                body = await read_body(receive, self._service.limits.frame)
                if action == "enter":
                    await self._enter(body, as_json, send)
                else:
                    self._send(scope, body, as_json)
                    await respond(send, 204, headers=[_NO_STORE])
            else:
                await respond(send, 404, "Not Found\n")
        except ChatError as exc:
            if as_json:
                body_text, kind = error_event(exc).json, _JSON
            else:
                body_text, kind = exc.text + "\n", "text/plain; charset=utf-8"
            await respond(send, _status_of(exc), body_text, kind, [_NO_STORE])
        except ConnectionError:
            pass

    def _check_origin(self, scope: Scope) -> None:
        # A form of another site could post without asking; only reading needs permission (CORS).
        try:
            check_origin(header(scope, b"origin"), header(scope, b"host") or "", self._origins)
        except ProtocolError as exc:
            raise ChatError("origin", f"This page may not use the chat: {exc}") from exc

    async def _enter(self, body: bytes, as_json: bool, send: Send) -> None:
        fields = None if as_json else _fields(body)
        self._service.connect()
        poll = Poll(self._service, fields)
        entered = False
        try:
            if isinstance(poll.session, LineSession):
                assert fields is not None
                poll.session.enter(fields.get("name", ""))
            else:
                poll.session.receive(body)
            if poll.session.entering:
                # Reading the history does not take long, and tells the session in any case.
                await poll.wait(self._service.limits.poll_wait)
            entered = poll.session.member is not None
        finally:
            if not entered:
                self._service.disconnect()
                poll.session.lost()
        if not entered:
            refusal = poll.events[0] if poll.events else error_event(_GONE).json
            if as_json:
                await respond(send, 409, refusal, _JSON, [_NO_STORE])
            else:
                await respond(send, 409, refusal.removeprefix("* ") + "\n", headers=[_NO_STORE])
            return
        self._polls[poll.token] = poll
        self._sweep_later()
        if as_json:
            answer = f'{{"session":"{poll.token}"}}'
            await respond(send, 200, answer, _JSON, [_NO_STORE])
        else:
            await respond(send, 200, poll.token + "\n", headers=[_NO_STORE])

    async def _events(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = _fields(scope.get("query_string") or b"")
        poll = self._find(query)
        after = query.get("after", "0")
        poll.confirm(int(after) if after.isdecimal() and len(after) < 16 else 0)
        if not poll.events:
            if poll.ended:
                raise _GONE
            await self._wait_or_lose(poll, receive)
        poll.seen = asyncio.get_running_loop().time()
        body, kind = poll.answer()
        await respond(send, 200, body, kind, [_NO_STORE])

    async def _wait_or_lose(self, poll: Poll, receive: Receive) -> None:
        """Wait for news, or until the client hangs up."""
        poll.seen = float("inf")
        # The first message is the request's empty body; what follows is that the client is gone.
        gone = asyncio.ensure_future(_disconnected(receive))
        news = asyncio.ensure_future(poll.wait(self._service.limits.poll_wait))
        try:
            await asyncio.wait({gone, news}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            poll.seen = asyncio.get_running_loop().time()
            for task in (gone, news):
                task.cancel()
            await asyncio.gather(gone, news, return_exceptions=True)

    def _send(self, scope: Scope, body: bytes, as_json: bool) -> None:
        poll = self._find(_fields(scope.get("query_string") or b""))
        if poll.ended:
            raise _GONE
        if isinstance(poll.session, LineSession):
            fields = _fields(body)
            poll.session.receive(fields.get("text", ""), fields.get("id", ""))
        elif as_json:
            poll.session.receive(body)
        else:
            raise ChatError("bad_request", f"This session takes {_JSON} only.")

    def _find(self, query: Fields) -> Poll:
        poll = self._polls.get(query.get("session", ""))
        if poll is None:
            raise _GONE
        return poll

    # Those who do not come back

    def _sweep_later(self) -> None:
        if self._sweeper is None and self._polls:
            loop = asyncio.get_running_loop()
            self._sweeper = loop.call_later(self._service.limits.poll_pause / 4, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        deadline = asyncio.get_running_loop().time() - self._service.limits.poll_pause
        for poll in list(self._polls.values()):
            if poll.seen < deadline or (poll.ended and not poll.events):
                self._remove(poll)
        self._sweep_later()

    def _remove(self, poll: Poll) -> None:
        del self._polls[poll.token]
        poll.end(1001, "")
        self._service.disconnect()
        poll.session.lost()

    def close(self) -> None:
        """Answer all that wait, since the server stops."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for poll in list(self._polls.values()):
            self._remove(poll)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _fields(data: bytes) -> Fields:
    """Read the fields of a form or of a query; the first of those with the same name."""
    try:
        parsed = parse_qs(data.decode("utf-8", "replace"), errors="replace", max_num_fields=16)
    except ValueError as exc:
        raise ChatError("bad_request", "There are too many fields.") from exc
    return {name: values[0] for name, values in parsed.items()}


def _status_of(error: ChatError) -> int:
    if isinstance(error, BodyTooLarge):
        return 413
    return {"gone": 404, "origin": 403, "full": 503, "restart": 503}.get(error.code, 400)
