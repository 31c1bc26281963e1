"""Every Python example of the README and the documentation runs.

The fenced `python` blocks of a page run in order in one namespace, as one script in a process of
its own, so that an example may use what the page defined above it. A block is left out when an
HTML comment with the reason stands right before it:

    <!-- no-run: needs a server on port 8765 -->
    ```python
    ...
    ```

A page's script starts in an empty folder. Blocks that wait for ever cannot be examples that run:
they are either written to end, or marked.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(
    r"(?:^<!--\s*no-run:(?P<reason>[^>]*?)-->\s*\n)?"
    r"^(?P<indent> *)```(?:python|\{code-block\} python)[^\n]*\n"
    r"(?P<body>.*?)"
    r"^(?P=indent)```",
    re.MULTILINE | re.DOTALL,
)
SECONDS = 30


def script(page: Path) -> str:
    """Return the examples of a page as a script whose line numbers are the page's."""
    text = page.read_text()
    lines: list[str] = []
    for block in BLOCK.finditer(text):
        if block["reason"] is not None:
            continue
        first = text.count("\n", 0, block.start("body"))
        lines.extend([""] * (first - len(lines)))
        indent = len(block["indent"])
        # Options of a directive (`:caption: ...`) are no Python.
        lines.extend(
            "" if line[indent:].startswith(":") else line[indent:]
            for line in block["body"].splitlines()
        )
    return "\n".join(lines) + "\n"


def pages_with_examples() -> list[Path]:
    return [page for page in PAGES if "_build" not in page.parts and script(page).strip()]


@pytest.mark.parametrize(
    "page", pages_with_examples(), ids=lambda page: str(page.relative_to(ROOT))
)
def test_examples_of_a_page_run(page, tmp_path):
    # The name of the page makes a traceback lead to the example that failed.
    program = f"exec(compile({script(page)!r}, {str(page)!r}, 'exec'), {{'__name__': '__main__'}})"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, f"{page}:\n{ran.stdout}\n{ran.stderr}"


class TestConvention:
    def test_blocks_keep_their_line_numbers(self, tmp_path):
        page = tmp_path / "page.md"
        page.write_text("# Title\n\n```python\nx = 1\n```\n\ntext\n\n```python\nprint(x)\n```\n")
        assert script(page) == "\n\n\nx = 1\n\n\n\n\n\nprint(x)\n"

    def test_other_languages_and_marked_blocks_are_left_out(self, tmp_path):
        page = tmp_path / "page.md"
        page.write_text(
            "```sh\nrm x\n```\n\n<!-- no-run: it waits -->\n```python\nwait()\n```\n\n"
            "```{code-block} python\n:caption: a\ny = 2\n```\n"
        )
        assert script(page).split() == ["y", "=", "2"]

    def test_a_mark_needs_a_reason(self):
        for page in PAGES:
            for block in BLOCK.finditer(page.read_text()):
                assert block["reason"] is None or block["reason"].strip(), page
