"""The limits."""

from dataclasses import fields

import pytest

from duplexio.chat.limits import Limits
from duplexio.errors import UsageError


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_every_limit_is_positive(name):
    with pytest.raises(UsageError, match=name):
        Limits(**{name: 0})


def test_a_frame_holds_the_largest_text():
    with pytest.raises(UsageError, match="13000 or more"):
        Limits(text=1_000, frame=10_000)
