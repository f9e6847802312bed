#!/usr/bin/env bash
# The shells in which completion is tested, on a machine that may lack them.
#
#   tests/services/shells.sh up    zsh and fish are there, from Debian's packages; that takes root
set -euo pipefail

[ "${1:-}" = up ] || { echo "usage: $0 up" >&2; exit 2; }
command -v zsh >/dev/null && command -v fish >/dev/null && exit
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends zsh fish >/dev/null
