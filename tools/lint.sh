#!/usr/bin/env bash
# Run every check and name those that failed, instead of ending at the first.
# usage: lint.sh FOLDER_OF_PROGRAMS
set -euo pipefail

bin=$1
failed=()

check() {
    echo "== $*"
    "$bin/$1" "${@:2}" || failed+=("$1")
}

check ruff check
check ruff format --check
check mypy
check lint-imports --no-logo
check towncrier build --draft --version next

if [[ ${#failed[@]} -gt 0 ]]; then
    echo "lint failed: ${failed[*]}" >&2
    exit 1
fi
