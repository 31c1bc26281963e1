"""Write inputs for the fuzzers to begin with.

    python -m tests.fuzz.corpus build/fuzz/talk

The targets take any bytes for decisions, so that inputs drawn at random are conversations already,
of every length and with every setting; libFuzzer, which begins with none, takes minutes to get as
far. The same files are written each time.
"""

import random
import sys
from pathlib import Path

#: The first byte of an input is the settings of the connection or the reader.
SETTINGS = range(64)
LENGTHS = (20, 150, 400)


def inputs() -> list[bytes]:
    """Return the inputs, the same each time."""
    draw = random.Random(6455)
    return [bytes([first]) + draw.randbytes(length) for first in SETTINGS for length in LENGTHS]


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(f"usage: {sys.argv[0]} FOLDER")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    written = inputs()
    for number, data in enumerate(written):
        (folder / f"seed-{number:03}").write_bytes(data)
    print(f"{len(written)} inputs in {folder}")


if __name__ == "__main__":
    main()
