#!/usr/bin/env bash
# Install the programs that the tests use and this machine lacks: with apt when this runs as root,
# else name what will be skipped. In CI a missing program is an error.
set -euo pipefail

# program (or a file), Debian package, what is not tested without it
needed="
cc        gcc           the compiled modules
chromium  chromium      the chat room in a real browser
haproxy   haproxy       deployment behind a proxy
nginx     nginx-light   deployment behind a proxy
node      nodejs        other implementations written in JavaScript
npm       npm           other implementations written in JavaScript
openssl   openssl       the benchmark over TLS
/usr/include/openssl/ssl.h libssl-dev the benchmark over TLS
"

present() {
    case $1 in
    /*) [[ -e $1 ]] ;;
    *) command -v "$1" >/dev/null || [[ -x /usr/sbin/$1 ]] ;;
    esac
}

missing=()
packages=()
while read -r program package _; do
    [[ -n $program ]] || continue
    if ! present "$program"; then
        missing+=("$program")
        packages+=("$package")
    fi
done <<<"$needed"

[[ ${#missing[@]} -gt 0 ]] || exit 0

if [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
    echo "== installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq </dev/null
    apt-get install -y -qq --no-install-recommends "${packages[@]}" </dev/null >/dev/null
    exit 0
fi

echo "== not root, or no apt: these programs are missing" >&2
while read -r program package reason; do
    for name in "${missing[@]}"; do
        if [[ $program == "$name" ]]; then
            echo "   $program (package $package): not tested without it: $reason" >&2
        fi
    done
done <<<"$needed"
if [[ ${CI:-} == true ]]; then
    exit 1
fi
