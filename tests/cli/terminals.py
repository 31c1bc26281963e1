"""Programs at a pseudo-terminal, as a person sees them."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

_escapes = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\][^\x07]*\x07|\r")


class Terminal:
    """A program whose standard streams are a terminal."""

    def __init__(self, *arguments, **environ):
        main, other = pty.openpty()
        fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        # Ctrl+C reaches the programs only whose terminal it is.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *arguments],
            stdin=other,
            stdout=other,
            stderr=other,
            env={**os.environ, "TERM": "xterm-256color", **environ},
        )
        os.close(other)
        self.main = main
        self.address = ""  # of the server that runs here, if one does
        self.raw = b""
        self.position = 0

    @property
    def text(self):
        """What was shown so far, without colours and movements of the cursor."""
        return _escapes.sub(b"", self.raw).decode("utf-8", "replace")

    def type(self, text):
        os.write(self.main, text.encode())

    def enter(self, text):
        self.type(text + "\r")

    def wait_for(self, pattern, timeout=20.0):
        """Wait until something is shown behind what was waited for before."""
        deadline = time.monotonic() + timeout
        while True:
            found = re.compile(pattern).search(self.text, self.position)
            if found:
                self.position = found.end()
                return found
            self._read(pattern, deadline)

    def _read(self, pattern, deadline):
        if not self._take(deadline - time.monotonic()):
            raise AssertionError(f"no {pattern!r} behind what came before in:\n{self.text}")

    def _take(self, timeout):
        """Read what is shown; return whether there was something."""
        ready = timeout > 0 and select.select([self.main], [], [], timeout)[0]
        try:
            data = os.read(self.main, 65_536) if ready else b""
        except OSError:  # how Linux says that the other side is closed
            data = b""
        if b"\x1b[6n" in data:
            # It asks where the cursor is, and would wait for the answer.
            os.write(self.main, b"\x1b[1;1R")
        self.raw += data
        return bool(data)

    def wait(self, timeout=20.0):
        """Wait for the end; return the exit status."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            # It could not end while nobody reads what it shows.
            self._take(0.05)
            assert time.monotonic() < deadline, self.text
        while self._take(0.01):
            pass
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.main)


def duplexio(*arguments):
    """Return the arguments of a process that runs the command line."""
    return [sys.executable, "-c", "from duplexio.cli import main; main()", *arguments]
