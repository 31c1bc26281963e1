"""The page that says which clients work."""

import datetime

from tests.interop.matrix import COLUMNS, OTHERS, PARTLY, Matrix
from tests.interop.socketio_runs import CHECKS


def test_the_page():
    matrix = Matrix()
    matrix.note("polling", "one", {})
    matrix.note("polling", "one", {"silence": PARTLY}, ["silence"])
    assert not matrix.failed
    matrix.note("polling", "two", {"rooms": "Error: nobody there"})
    assert matrix.failed
    page = matrix.render(datetime.date(2026, 11, 20))
    assert "on 2026-11-20" in page
    assert "| one | " + "✓ | " * len(CHECKS) + "partly |" in page
    marks = ["✗" if name == "rooms" else "✓" for name in CHECKS]
    assert "| two | " + " | ".join(marks) + " | - |" in page


def test_all_columns_are_explained():
    assert list(COLUMNS) == [*CHECKS, *OTHERS]
