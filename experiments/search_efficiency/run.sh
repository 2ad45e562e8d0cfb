#!/bin/sh
# The searches of one seed, one after the other: run.sh SEED FOLDER. Interrupted, it goes on where it was.
set -eu
seed=$1 out=$2
search() {
  name=$1
  shift
  mvit-nas search --data cifar10 --budget 6M --budget 15MMACs --objectives accuracy,params,macs --trials 25 \
    --seed "$seed" --out "$out" --name "$name-$seed" --resume "$@"
}
search random --sampler random
search tpe --sampler tpe
search cost-aware
search stopping --early-stopping
