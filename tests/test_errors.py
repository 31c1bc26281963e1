"""The families of errors."""

import pickle

import pytest

from duplexio.errors import ConnectionClosed, DuplexioError, ProtocolError, UsageError


@pytest.mark.parametrize("family", [UsageError, ProtocolError, ConnectionClosed])
def test_families_share_one_base(family):
    assert issubclass(family, DuplexioError)


def test_families_are_distinct():
    assert not issubclass(UsageError, (ProtocolError, ConnectionClosed))
    assert not issubclass(ProtocolError, (UsageError, ConnectionClosed))
    assert not issubclass(ConnectionClosed, (UsageError, ProtocolError))


class TestProtocolError:
    def test_carries_nothing_unless_told(self):
        exc = ProtocolError("what happened")
        assert (exc.close_code, exc.status) == (None, None)
        assert str(exc) == "what happened"
        assert vars(exc) == {}

    def test_carries_what_to_answer_with(self):
        exc = ProtocolError("what happened", close_code=1002, status=400)
        assert (exc.close_code, exc.status) == (1002, 400)
        assert exc.args == ("what happened",)

    def test_a_subclass_has_its_own_defaults(self):
        class Busy(ProtocolError):
            status = 503

        assert Busy().status == 503
        assert Busy(status=429).status == 429
        assert Busy.status == 503


class TestConnectionClosed:
    @pytest.mark.parametrize(
        ("args", "text"),
        [
            ((), "closed by a failure of the transport with code 1006"),
            ((1001, "bye", "remote"), "closed by the peer with code 1001: bye"),
            ((1000, "", "local"), "closed by this side with code 1000"),
        ],
    )
    def test_text_tells_who_and_how(self, args, text):
        assert str(ConnectionClosed(*args)) == text

    def test_attributes(self):
        exc = ConnectionClosed(4000, "enough", "local")
        assert (exc.code, exc.reason, exc.initiator) == (4000, "enough", "local")

    def test_survives_pickling(self):
        exc = pickle.loads(pickle.dumps(ConnectionClosed(4000, "enough", "local")))
        assert (exc.code, exc.reason, exc.initiator) == (4000, "enough", "local")
