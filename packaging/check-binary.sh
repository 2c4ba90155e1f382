#!/bin/bash
# check-binary.sh DEBUG STRIPPED [--sanitized]: what a finished binary must not contain, and its size.
set -euo pipefail
debug=$1 stripped=$2
limit=6000000                    # bytes: six megabytes by either way of counting
case $stripped in */amd64*) ;; *) limit=6500000 ;; esac          # their linkers pack no relocations
[ -z "${3:-}" ] || exit 0        # sanitizers bring their own libc and their own weight

# Static glibc cannot do these without shared files of the very same glibc.
bad=$(nm "$debug" | awk '$2 ~ /[TtWi]/ { print $3 }' |
      grep -xE 'getaddrinfo|getpwnam(_r)?|getpwuid(_r)?|gethostbyname(_r)?|iconv_open' | sort -u || :)
[ -z "$bad" ] || { echo "check-binary.sh: $debug contains" $bad >&2; exit 1; }

size=$(stat -c %s "$stripped")
[ "$size" -le $limit ] || { echo "check-binary.sh: $stripped has $size bytes, limit $limit" >&2; exit 1; }
