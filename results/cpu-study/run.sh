#!/usr/bin/env bash
# Runs the study of configs/cpu-study.yaml, or a variation of it, cycle by cycle: run.sh NAME [LAST CYCLE].
#
# Each finished cycle is kept in results/cpu-study/NAME.tar.xz: configuration, corpus, ledgers, journal and objects, without
# adapters, which every cycle trains anew. Where runs/NAME is missing it is unpacked from there, so that the study can be
# stopped after any cycle and goes on on another machine. That one makes a key of its own, which the journal says: the
# order in which validation images are shown changes with it, and no accuracy of a program that looks at one at a time.
# The variation without iteration samples from one adapter throughout, so it is kept only when it is finished.
set -euo pipefail

name=${1:?"name a configuration, as in cpu-study or cpu-study-no-novelty"}
last=${2:-8}
cd "$(dirname "$0")/../.."
archive=results/cpu-study/$name.tar.xz
orchestrate=.venv/bin/orchestrate

finished() { grep -c '/cycle-[0-9]*/summary\.jsonl$' || true; } # counts cycles in a list of files

mkdir -p runs
if [ ! -d "runs/$name" ] && [ -f "$archive" ]; then
  rm -rf "runs/.$name"
  mkdir "runs/.$name"
  tar -C "runs/.$name" -xJf "$archive"
  mv "runs/.$name/$name" "runs/$name"
  rmdir "runs/.$name"
fi
if [ -f "$archive" ]; then
  kept=$(tar -tJf "$archive" | finished)
  here=$(find "runs/$name" -name summary.jsonl | finished)
  if [ "$kept" -gt "$here" ]; then
    echo "$archive has $kept cycles and runs/$name has $here: move the latter away, so that the former is taken" >&2
    exit 1
  fi
fi
cycles=$(seq "$last")
for cycle in $cycles; do
  if [ -d "runs/$name/cycle-$(printf %03d $((cycle + 1)))" ]; then
    continue # the next one has begun, so this one was kept
  fi
  "$orchestrate" cycle --config "configs/$name.yaml" --cycles "$cycle"
  if [ "$name" = cpu-study-no-iteration ] && [ "$cycle" -lt "$last" ]; then
    continue
  fi
  "$orchestrate" audit prune-adapters "$name"
  tar -C runs --exclude=adapter --exclude=key --exclude=lock --exclude=llm.log -cJf "$archive.part" "$name"
  mv "$archive.part" "$archive"
done
"$orchestrate" audit verify "$name"
