"""Messages encoded once for all who get them."""

from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from tests.pure import implementations

pytestmark = pytest.mark.parametrize("encoded", implementations("engineio.encoded"))


@pytest.fixture
def output(encoded: ModuleType) -> Any:
    """A fresh output of the implementation under test."""
    package = encoded.__name__.partition(".")[0]
    return import_module(f"{package}.websocket.kernel").Output()


@pytest.mark.parametrize("b64", [False, True])
@pytest.mark.parametrize("protocol", [3, 4])
def test_what_is_written_once_is_what_others_get(
    encoded: ModuleType, output: Any, protocol: int, b64: bool
) -> None:
    message = encoded.Encoded('51-["a",{}]', (b"x" * encoded.LARGE, b"y"))
    message.write_once(output, protocol, b64)
    assert output.take() == message.frames(protocol, b64)


def test_only_the_first_client_of_a_large_message_has_it_written_once(
    encoded: ModuleType, output: Any
) -> None:
    message = encoded.Encoded('51-["a",{}]', (b"x" * encoded.LARGE,))
    assert message.is_large_and_new()
    message.write_once(output, 4, False)
    assert not message.is_large_and_new()


def test_small_messages_and_text_have_forms_for_all(encoded: ModuleType) -> None:
    assert not encoded.Encoded('51-["a",{}]', (b"x",)).is_large_and_new()
    assert not encoded.Encoded("2" + "x" * encoded.LARGE).is_large_and_new()
