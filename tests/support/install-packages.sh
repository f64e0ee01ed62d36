#!/usr/bin/env bash
# Installs the Debian packages named in FILE that are missing.  Says what it will do; does nothing where all are there.
#   install-packages.sh FILE
set -u
file=$1
if ! command -v dpkg-query >/dev/null; then
    echo "deps: this is no Debian; please install the equivalents of $file yourself" >&2
    exit 0
fi
missing=()
while read -r package; do
    case $package in ''|'#'*) continue ;; esac
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done <"$file"
[ ${#missing[@]} -eq 0 ] && exit 0

sudo=()
[ "$(id -u)" -ne 0 ] && sudo=(sudo)
echo "deps: installing ${missing[*]}" >&2
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q >/dev/null || echo "deps: apt-get update failed, trying with the lists at hand" >&2
if ! "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null; then
    echo "deps: could not install ${missing[*]}; install them by hand and run make again" >&2
    exit 1
fi
