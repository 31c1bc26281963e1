#!/usr/bin/env bash
# Print every CPython that the project supports and this machine has, one "VERSION PATH" a line.
# Looks in PATH, pyenv and uv. A pyenv shim that is on PATH but not selected does not run, so each
# candidate is started once.
set -euo pipefail

supported=${SUPPORTED:-"3.11 3.12 3.13"}

for version in $supported; do
    candidates=("$(command -v "python$version" || true)")
    for path in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python"$version" \
        "$HOME"/.local/share/uv/python/cpython-"$version".*/bin/python"$version"; do
        candidates+=("$path")
    done
    for path in "${candidates[@]}"; do
        [[ -x $path ]] || continue
        real=$("$path" -c 'import sys, venv; print(sys.executable)' 2>/dev/null) || continue
        echo "$version $real"
        break
    done
done
