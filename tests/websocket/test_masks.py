"""Masking keys, also in forked processes."""

import gc
import os

import pytest

from duplexio.websocket import masks
from duplexio.websocket.masks import system_mask_keys


def test_keys_differ():
    keys = system_mask_keys()
    drawn = [keys.next() for _ in range(1000)]
    assert all(len(key) == 4 for key in drawn)
    assert len(set(drawn)) > 990


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork() here")
def test_a_forked_process_draws_its_own():
    keys = system_mask_keys()
    keys.next()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - another process
        os.write(writer, b"".join(keys.next() for _ in range(16)))
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        theirs = pipe.read()
    ours = b"".join(keys.next() for _ in range(16))
    assert len(theirs) == len(ours) == 64
    assert {theirs[i : i + 4] for i in range(0, 64, 4)}.isdisjoint(
        ours[i : i + 4] for i in range(0, 64, 4)
    )


def test_sources_that_nobody_uses_are_forgotten():
    gc.collect()
    before = len(masks._in_use)
    keys = system_mask_keys()
    assert len(masks._in_use) == before + 1
    del keys
    gc.collect()
    assert len(masks._in_use) == before
