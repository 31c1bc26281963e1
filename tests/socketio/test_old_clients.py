"""Text that is not ASCII, for and from the clients 1.x on polling requests."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplexio import socketio
from duplexio.engineio.encoded import Encoded
from duplexio.socketio.old_clients import in_ascii, undouble
from tests.engineio.serving import Http, hosted

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def double(text):
    """Write text as those clients do, before it is encoded for the body."""
    return text.encode().decode("latin-1")


@given(text=TEXT, head=st.sampled_from(["42", "42/é,7", "451-/a,", "431"]))
def test_in_ascii(text, head):
    body = json.dumps(["x", text], ensure_ascii=False)
    packet = in_ascii((head + body).encode()).decode()
    assert packet.startswith(head)
    assert packet[len(head) :].isascii()
    assert json.loads(packet[len(head) :]) == ["x", text]


def test_what_is_ascii_stays_the_same():
    for packet in (b'42["x"]', Encoded('2["x"]'), None):
        assert in_ascii(packet) is packet
    packet = in_ascii(Encoded('51-["é"]', (b"1",)))
    assert (packet.text, packet.attachments) == ('51-["\\u00e9"]', (b"1",))


@given(text=TEXT)
def test_what_was_doubled_is_read(text):
    assert undouble(double(text)) == text


@pytest.mark.parametrize("text", ["é", "café»", "€", "Ã©€", "\ud800", "«ÉTÉ»"])
def test_other_text_is_known(text):
    assert undouble(text) is None


async def test_clients_on_polling_requests():
    server = socketio.AsyncServer()
    heard = []

    @server.event
    def connect(sid, environ):
        if "no" in environ["QUERY_STRING"]:
            raise socketio.ConnectionRefusedError("né")

    @server.event
    async def say(sid, text):
        heard.append(text)
        await server.emit("said", text)
        return text

    async with hosted(socketio.ASGIApp(server)) as port, Http(port) as http:

        async def request(method, query, body=None):
            status, _, body = await http.request(
                method, f"EIO=3&transport=polling&b64=1{query}", body, path="/socket.io/"
            )
            assert status == 200, body
            return body.decode()

        async def opened():
            answer = await request("GET", "")
            return f"&sid={json.loads(answer[answer.index('{') : answer.index('}') + 1])['sid']}"

        async def say(query, text):
            packet = f'420["say","{text}"]'
            await request("POST", query, f"{len(packet)}:{packet}".encode())
            return await request("GET", query)

        answer = '19:42["said","\\u00e9"]13:430["\\u00e9"]'
        old = await opened()
        assert await say(old, double("é")) == answer
        new = await opened()
        assert await say(new, "é") == answer
        # By now it is known what that client does.
        await say(new, double("é"))
        assert heard == ["é", "é", double("é")]
        assert (await request("GET", "&no=1")).endswith('11:44"n\\u00e9"')
