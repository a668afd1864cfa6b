#!/usr/bin/env bash
# The whole chain on real ChIP-seq peaks: train on 6,000 peaks and their dinucleotide shuffles, test on 500 peaks and 500
# shuffles, explain the 500 test peaks, count the words under the peaks of relevance, draw one sequence.
#
#   SEQPLRP_REAL_DATA=/path/to/data bash examples/real_chipseq.sh [OUT] [FACTOR ...]
#
# SEQPLRP_REAL_DATA holds chipseq/FACTOR.train.pos.fa, FACTOR.test.pos.fa and FACTOR.test.neg.fa (as published with
# DeepBind). OUT is real-output and the factors are USF1_HepG2 and GABPA_GM12878 unless given.
set -euo pipefail

if [ -z "${SEQPLRP_REAL_DATA:-}" ]; then
  echo "error: SEQPLRP_REAL_DATA: is not set; name the folder that holds chipseq/*.fa" >&2
  exit 2
fi
out=${1:-real-output}
shift || true
factors=("$@")
[ ${#factors[@]} -gt 0 ] || factors=(USF1_HepG2 GABPA_GM12878)

mkdir -p "$out"
for factor in "${factors[@]}"; do
  peaks=$SEQPLRP_REAL_DATA/chipseq/$factor
  echo "== $factor"
  seqplrp train --positives "$peaks.train.pos.fa" --negatives shuffle \
    --test-positives "$peaks.test.pos.fa" --test-negatives "$peaks.test.neg.fa" \
    --arch basset-small --seed 0 --out "$out/$factor.model" --overwrite
  seqplrp explain --model "$out/$factor.model" --fasta "$peaks.test.pos.fa" --target 0 \
    --method plrp --center composition --reverse-complement \
    --formats bigwig,bedgraph,npz,h5,tsv --out "$out/$factor.plrp" --overwrite
  seqplrp explain --model "$out/$factor.model" --fasta "$peaks.test.pos.fa" --target 0 \
    --method gradient-x-input --formats npz,tsv --out "$out/$factor.gxi" --overwrite
  seqplrp score "$out/$factor.plrp" --kmers 6 --out "$out/$factor.6mers.tsv" --overwrite
  seqplrp score "$out/$factor.plrp" --kmers 8 --out "$out/$factor.8mers.tsv" --overwrite
  record=$(grep -m1 '>' "$peaks.test.pos.fa" | tr -d '>')
  seqplrp logo "$out/$factor.plrp" --also "$out/$factor.gxi" --record "$record" --out "$out/$factor.svg" --overwrite
  seqplrp logo "$out/$factor.plrp" --also "$out/$factor.gxi" --record "$record" --out "$out/$factor.png" --overwrite
done
