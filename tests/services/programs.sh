#!/usr/bin/env bash
# Programs that some tests use, on a machine that may lack them: shells for completion, git-lfs.
#
#   tests/services/programs.sh up    they are there, from Debian's packages; that takes root
set -euo pipefail

PROGRAMS=(zsh fish git-lfs)

[ "${1:-}" = up ] || { echo "usage: $0 up" >&2; exit 2; }
[ "$(command -v "${PROGRAMS[@]}" | wc -l)" = ${#PROGRAMS[@]} ] && exit
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends git "${PROGRAMS[@]}" >/dev/null
