"""ASGI applications for the tests: written against ASGI itself, so that nothing is in between."""

import asyncio
import json
from typing import Any

state: Any = {"sent": 0, "events": []}
released = asyncio.Event()
ended = asyncio.Event()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                print("the lifespan has ended", flush=True)
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "http":
        await serve_http(scope, receive, send)
        return
    assert (await receive())["type"] == "websocket.connect"
    await globals()[scope["path"].strip("/").replace("-", "_")](scope, receive, send)


async def serve_http(scope, receive, send):
    body = b""
    more = True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    if scope["path"] == "/release":
        released.set()
    if scope["path"] == "/end":
        ended.set()
    answer = json.dumps(state).encode() if scope["path"] == "/state" else b"hello " + body
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", b"%d" % len(answer))],
        }
    )
    await send({"type": "http.response.body", "body": answer})


def accept(**more):
    return {"type": "websocket.accept", **more}


def note(message):
    state["events"].append({**message, "bytes": None} if "bytes" in message else message)
    print("event", json.dumps(state["events"][-1]), flush=True)


async def echo(scope, receive, send):
    await send(accept())
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            note(message)
            # It stays so.
            assert await receive() == message
            return
        reply = {"type": "websocket.send"}
        if message.get("text") is not None:
            reply["text"] = message["text"]
        else:
            reply["bytes"] = message["bytes"]
        await send(reply)


async def late(scope, receive, send):
    """Accept when an HTTP request allows it."""
    await released.wait()
    await echo(scope, receive, send)


async def scope(scope, receive, send):
    await send(accept())
    shown = {**scope, "headers": [[n.decode(), v.decode("latin-1")] for n, v in scope["headers"]]}
    for name in ("raw_path", "query_string"):
        shown[name] = shown[name].decode()
    await send({"type": "websocket.send", "text": json.dumps(shown)})


async def choose(scope, receive, send):
    headers = [(b"x-extra", b"yes")]
    await send(accept(subprotocol=scope["subprotocols"][1], headers=headers))
    await send({"type": "websocket.close", "code": 3001, "reason": "enough"})
    note(await receive())


async def bad_header(scope, receive, send):
    await send(accept(headers=[(b"x-extra", b"a\r\nx-injected: b")]))


async def refuse(scope, receive, send):
    await send({"type": "websocket.close"})
    note(await receive())


async def respond(scope, receive, send):
    headers = [(b"www-authenticate", b"Basic"), (b"content-type", b"text/plain")]
    start = {"type": "websocket.http.response.start", "status": 401, "headers": headers}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": b"who ", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"are you?"})
    note(await receive())


async def fail(scope, receive, send):
    raise ValueError("before accept")


async def fail_later(scope, receive, send):
    await send(accept())
    raise ValueError("after accept")


async def leave(scope, receive, send):
    """Return without an answer."""


async def leave_later(scope, receive, send):
    """Return without a close."""
    await send(accept())
    await send({"type": "websocket.send", "text": "bye"})


async def misuse(scope, receive, send):
    """Send what is not allowed, and tell the client what that raised."""
    errors = []
    try:
        await send({"type": "websocket.send", "text": "too early"})
    except RuntimeError as exc:
        errors.append(str(exc))
    await send(accept())
    try:
        await send(accept())
    except RuntimeError as exc:
        errors.append(str(exc))
    await send({"type": "websocket.send", "text": json.dumps(errors)})
    await send({"type": "websocket.close"})
    try:
        await send({"type": "websocket.send", "text": "too late"})
    except RuntimeError as exc:
        note({"type": str(exc)})


async def flood(scope, receive, send):
    """Send until the client has gone."""
    await send(accept())
    state["sent"] = 0
    try:
        while True:
            await send({"type": "websocket.send", "bytes": bytes(65536)})
            state["sent"] += 1
    except OSError as exc:
        note({"type": type(exc).__name__})


async def together(scope, receive, send):
    """Receive in several tasks, as an application may."""
    await send(accept())
    messages = list(await asyncio.gather(receive(), receive(), receive()))
    # A receive that is given up loses nothing.
    try:
        await asyncio.wait_for(receive(), 0.01)
    except TimeoutError:
        pass
    await send({"type": "websocket.send", "text": "waiting"})
    messages.append(await receive())
    texts = ",".join(sorted(message["text"] for message in messages))
    await send({"type": "websocket.send", "text": texts})


async def ignore(scope, receive, send):
    """Never look at what arrives."""
    await send(accept())
    await ended.wait()
