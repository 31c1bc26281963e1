"""The Autobahn test suite, strictly: every case must be OK or INFORMATIONAL, closing included.

The quick part runs by default; `pytest -m slow tests/conformance` runs all 517 cases, compiled and
pure, which takes about ten minutes for each of the eight runs.
"""

import json

import pytest

import duplexio
from tests.conformance import autobahn

PEERS = [
    ("duplexio", "server"),
    ("duplexio-listener", "server"),
    ("duplexio", "client"),
    ("duplexio-blocking", "client"),
]


@pytest.fixture(scope="module", autouse=True)
def suite():
    try:
        return autobahn.wstest()
    except autobahn.AutobahnMissing as exc:
        return pytest.skip(str(exc))


def assert_all_pass(result, count):
    assert [str(failure) for failure in result.failures] == []
    # A suite that ran no cases, or ended early, has nothing to complain about either.
    assert len(result.outcomes) == count


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("peer", "side"), PEERS)
def test_quick_part(peer, side, tmp_path):
    result = autobahn.RUN[side](peer, duplexio.implementation, autobahn.QUICK_CASES, tmp_path, 280)
    assert_all_pass(result, autobahn.QUICK_COUNT)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("implementation", ["c", "python"])
@pytest.mark.parametrize(("peer", "side"), PEERS)
def test_all_cases(peer, side, implementation, tmp_path):
    result = autobahn.RUN[side](peer, implementation, autobahn.ALL_CASES, tmp_path, 3500)
    assert_all_pass(result, autobahn.ALL_COUNT)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("side", ["server", "client"])
def test_the_harness_finds_what_a_known_library_fails(side, tmp_path):
    # websockets answers 4.1.3 late, and closes 7.1.5 with a code that the suite does not expect.
    result = autobahn.RUN[side]("websockets", "python", ["1.1.1", "4.1.3", "7.1.5"], tmp_path, 100)
    assert [(failure.case, failure.behavior) for failure in result.failures] == [
        ("4.1.3", "NON-STRICT"),
        ("7.1.5", "FAILED"),
    ]
    assert result.outcomes["1.1.1"] == ("OK", "OK")


@pytest.mark.parametrize(
    ("behavior", "closing", "passes"),
    [
        ("OK", "OK", True),
        ("INFORMATIONAL", "INFORMATIONAL", True),
        ("NON-STRICT", "OK", False),
        ("UNIMPLEMENTED", "OK", False),
        ("OK", "WRONG CODE", False),
        ("OK", "UNCLEAN", False),
        ("OK", "FAILED BY CLIENT", False),
    ],
)
def test_gate(behavior, closing, passes, tmp_path):
    entry = {"behavior": behavior, "behaviorClose": closing, "reportfile": "case.json"}
    good = {"behavior": "OK", "behaviorClose": "OK", "reportfile": "other.json"}
    (tmp_path / "index.json").write_text(json.dumps({"me": {"10.1.1": entry, "2.1": good}}))
    (tmp_path / "case.json").write_text(json.dumps({"result": "what", "resultClose": "how"}))
    result = autobahn.judge(tmp_path, "me")
    assert list(result.outcomes) == ["2.1", "10.1.1"]
    words = [str(failure) for failure in result.failures]
    assert words == ([] if passes else [f"10.1.1: {behavior}, closing {closing}: what how"])
    assert result.families()["10"] == (int(passes), 1)
    assert result.families()["2"] == (1, 1)


def test_documents(tmp_path, monkeypatch):
    monkeypatch.setattr(autobahn, "suite_version", lambda: "Suite 1")
    good = autobahn.Result("duplexio-server-c", {"1.1.1": ("OK", "OK"), "9.1.1": ("OK", "OK")})
    bad = autobahn.Result(
        "duplexio-client-python",
        {"1.1.1": ("FAILED", "OK")},
        [autobahn.Failure("1.1.1", "FAILED", "OK", "no echo")],
    )
    autobahn.write_documents([good], tmp_path)
    autobahn.write_documents([bad], tmp_path)
    runs = json.loads((tmp_path / "conformance.json").read_text())
    assert [run["passed"] for run in runs] == [2, 0]
    page = (tmp_path / "conformance.md").read_text()
    assert "| Cases passed | 2 of 2 | 0 of 1 |" in page
    assert "| Agent | duplexio-server-c | duplexio-client-python |" in page
    assert "| 1.* Framing | 1 / 1 | 0 / 1 |" in page
    assert "- duplexio-client-python, case 1.1.1: FAILED, closing OK: no echo" in page
    # A later run of the same agent takes the place of the earlier one.
    autobahn.write_documents([autobahn.Result(bad.agent, good.outcomes)], tmp_path)
    assert "| Cases passed | 2 of 2 | 2 of 2 |" in (tmp_path / "conformance.md").read_text()
