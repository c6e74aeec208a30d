#!/usr/bin/env bash
# OpenVINO: what importing it writes into the home folder.
#
# Guess: conversion tools may count their use; `import openvino`, which a scoring
# service does to run a model that is converted already, writes nothing and connects to
# nobody.
#
# Seen with openvino 2026.4.1 and openvino-telemetry as it requires it (Python 3.11,
# Linux): the import makes $HOME/intel/openvino_ga_cid, an identifier, and
# $HOME/intel/stats, and by its source hands an event "import" to a sender; reading or
# converting a model is not needed. Not after `opt_in_out --opt_out`, and not where the
# environment has CI=true. Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet "openvino==2026.4.1"
unset CI
files_after() {
  local home="$folder/$1"
  shift
  mkdir -p "$home"
  env HOME="$home" "$@" "$folder/environment/bin/python" -c "import openvino"
  (cd "$home" && find . -type f | sort | tr '\n' ' ')
}
plain=$(files_after plain)
in_ci=$(files_after ci CI=true)
mkdir "$folder/out"
HOME="$folder/out" "$folder/environment/bin/opt_in_out" --opt_out >/dev/null 2>&1
opted_out=$(files_after out)
echo "after import openvino: $plain"
echo "with CI=true: $in_ci"
echo "after opting out: $opted_out"
[ "$plain" = "./intel/openvino_ga_cid ./intel/stats " ] && [ -z "$in_ci" ] &&
  [ "$opted_out" = "./intel/openvino_telemetry " ]

# after import openvino: ./intel/openvino_ga_cid ./intel/stats
# with CI=true:
# after opting out: ./intel/openvino_telemetry
