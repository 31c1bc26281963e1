"""`duplexio chat`: what it prints, and what it refuses."""

import os
import signal
import socket
import subprocess
import urllib.request

import pytest

from tests.cli.terminals import Terminal, duplexio


def run(*arguments, **environ):
    return subprocess.run(
        duplexio("chat", *arguments),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **environ},
    )


@pytest.fixture
def started(tmp_path):
    """Return a function that starts the chat at a terminal, and says where it is."""
    terminals = []

    def started(*arguments, **environ):
        terminal = Terminal(
            *duplexio("chat", *arguments), XDG_DATA_HOME=str(tmp_path / "data"), **environ
        )
        terminals.append(terminal)
        terminal.address = terminal.wait_for(r"The chat is at (https?://\S+)")[1]
        return terminal

    yield started
    for terminal in terminals:
        terminal.close()


def test_it_prints_where_it_is_and_stops_with_ctrl_c(started, tmp_path):
    chat = started("--port", "0")
    with urllib.request.urlopen(chat.address) as response:
        assert b"<title>duplexio chat</title>" in response.read()
    file = tmp_path / "data" / "duplexio" / "chat.db"
    chat.wait_for(f"History: {file}")
    assert file.exists()
    chat.type("\x03")
    assert chat.wait() == 0
    assert "The chat has stopped." in chat.text
    assert "Traceback" not in chat.text


def test_a_terminal_client_can_talk_to_it(started, tmp_path):
    chat = started("--port", "0", "--database", ":memory:")
    address = chat.wait_for(r"duplexio connect (ws://\S+)")[1]
    ada = Terminal(*duplexio("connect", address), XDG_DATA_HOME=str(tmp_path))
    try:
        ada.wait_for("Connected")
        ada.enter("Ada")
        ada.wait_for("< Welcome, Ada !")
        grace = subprocess.run(
            duplexio("connect", address, "-x", "Grace", "-x", "hello from a script", "-w", "0.3"),
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        assert grace.stdout.splitlines()[0] == "Welcome, Grace !"
        ada.wait_for("< Grace Login")
        ada.wait_for("< Grace:hello from a script")
        ada.wait_for("< Grace Logout")
        chat.process.send_signal(signal.SIGTERM)
        ada.wait_for("code 1012, service restart")
    finally:
        ada.close()


def test_the_next_port_is_taken_when_the_default_one_is_in_use(started):
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 8000))
            taken.listen()
        except OSError:
            pass  # somebody else has it, which is as good
        chat = started("--database", ":memory:")
    assert 8000 < int(chat.address.rsplit(":", 1)[1].strip("/")) <= 8020


def test_a_port_that_was_asked_for_is_not_replaced():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--port", str(port), "--database", ":memory:")
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1 port {port}: Address already in use" in done.stderr
    assert "--port" in done.stderr


def test_an_address_that_is_not_ours():
    done = run("--host", "192.0.2.1", "--port", "0", "--database", ":memory:")
    assert done.returncode == 1
    assert "Cannot listen on 192.0.2.1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_cannot_be_used(tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("no database" * 1000)
    done = run("--port", "0", "--database", str(notes))
    assert done.returncode == 1
    assert "is not an SQLite database" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_page_is_opened_when_asked_for(started, tmp_path):
    browser = tmp_path / "browser"
    browser.write_text('#!/bin/sh\necho "Opened: $1"\n')
    browser.chmod(0o755)
    chat = started("--port", "0", "--database", ":memory:", "--open", BROWSER=str(browser))
    assert chat.wait_for(r"Opened: (\S+)")[1] == chat.address


def test_all_addresses(started):
    chat = started("--host", "0.0.0.0", "--port", "0", "--database", ":memory:")
    assert chat.address.startswith("http://localhost:")
