#!/usr/bin/env bash
# Runs the study of configs/cpu-study.yaml, or a variation of it, cycle by cycle: run.sh NAME [LAST CYCLE].
#
# Each finished cycle is kept in results/cpu-study/NAME.tar.xz: configuration, corpus, ledgers, journal and objects, without
# adapters, which every cycle trains anew, and without the key, which only orders validation images. Where runs/NAME is
# missing, it is unpacked from there, so the study can be stopped after any cycle and goes on on another machine.
# (The variation without iteration samples from one adapter throughout; it has to be run on one machine.)
set -euo pipefail

name=${1:?"name a configuration, as in cpu-study or cpu-study-no-novelty"}
last=${2:-8}
cd "$(dirname "$0")/../.."
archive=results/cpu-study/$name.tar.xz
orchestrate=.venv/bin/orchestrate

mkdir -p runs
if [ ! -d "runs/$name" ] && [ -f "$archive" ]; then
  tar -C runs -xJf "$archive"
fi
for cycle in $(seq "$last"); do
  if [ -f "runs/$name/cycle-$(printf %03d $((cycle + 1)))/summary.jsonl" ]; then
    continue # and the next one too
  fi
  "$orchestrate" cycle --config "configs/$name.yaml" --cycles "$cycle"
  if [ "$name" != cpu-study-no-iteration ] || [ "$cycle" = "$last" ]; then
    "$orchestrate" audit prune-adapters "$name"
  fi
  tar -C runs --exclude=adapter --exclude=key --exclude=lock --exclude=llm.log -cJf "$archive.part" "$name"
  mv "$archive.part" "$archive"
done
"$orchestrate" audit verify "$name"
