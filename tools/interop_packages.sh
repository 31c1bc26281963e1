#!/usr/bin/env bash
# Install the JavaScript implementations that the tests talk to, when the list has changed.
set -euo pipefail

cd "$(dirname "$0")/../tests/interop" 2>/dev/null || exit 0
[[ -f package.json ]] || exit 0

stamp=node_modules/.installed
if [[ -f $stamp && ! package.json -nt $stamp && ! package-lock.json -nt $stamp ]]; then
    exit 0
fi
if ! command -v npm >/dev/null; then
    echo "== no npm: not tested against the implementations in tests/interop/package.json" >&2
    [[ ${CI:-} != true ]]
    exit
fi
if [[ -f package-lock.json ]]; then
    npm ci --silent --no-audit --no-fund </dev/null
else
    npm install --silent --no-audit --no-fund --no-package-lock </dev/null
fi
touch "$stamp"
