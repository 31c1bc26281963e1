"""Packets put together of their parts."""

import pytest

from duplexio.engineio.concat import concat


@pytest.mark.parametrize("number", [0, 7, 10, 1234567890123456, 2**63 - 1])
def test_concat_writes_the_number_in_digits(number):
    assert concat(b"43", number, b"[1]") == b"43%d[1]" % number


def test_concat_leaves_out_what_is_not_there():
    assert concat(b"42", -1, b"[]") == b"42[]"
    assert concat(b"", 0, b"") == b"0"


def test_concat_adds_what_comes_last():
    assert concat(b"length: ", 2, b"\r\n", b"ok") == b"length: 2\r\nok"
    assert concat(b"a", -1, b"b", b"c") == b"abc"
