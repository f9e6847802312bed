#!/usr/bin/env bash
# bash autotrain.sh data|train [flags]: the steps of a job whose settings are in falcon.env.
set -euo pipefail

step=${1:?data or train}
shift
settings=${SETTINGS:-"$(dirname "$0")/falcon.env"}
case $step in
  data)  exec hubtrain data --config "$settings" "$@" ;;
  train) exec hubtrain --config "$settings" --train "$@" ;;
  *)     echo "no step $step: data or train" >&2; exit 2 ;;
esac
