#!/usr/bin/env bash
# Train, compare and export where there is neither network nor DVC, MLflow, Albumentations, Mitsuba:
#
#     scripts/offline.sh --profile gpu --seconds 550 --out results [EXPERIMENT…]
#
# Bring the checkout with data/prepared and data/augmented, made under the same profile elsewhere.
# Time up (exit code 75): the same command goes on where it stopped, also in a later call, as all
# state lies in .offline/PROFILE. Each call packs what there is into --out: at most 8 files, each
# under 16 MiB. At home, unpack runs.tar.gz into a folder: `depthmask import-runs FOLDER`.
# Python packages that the machine lacks may lie unpacked in a folder named by PYTHONPATH.
set -euo pipefail

profile='' seconds='' out='' names=()
usage() {
    echo "usage: scripts/offline.sh [--profile NAME] [--seconds N] [--out DIR] [EXPERIMENT…]" >&2
    exit 2
}
while [ $# -gt 0 ]; do
    case $1 in
        --profile | --seconds | --out)
            [ $# -ge 2 ] || usage
            printf -v "${1#--}" %s "$2"
            shift 2
            ;;
        -*) usage ;;
        *) names+=("$1"); shift ;;
    esac
done
[[ $seconds =~ ^[0-9]*$ ]] || usage

fail() { echo "offline: $1" >&2; exit 2; }
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3}
export PYTHONPATH="$root/src${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
started=$SECONDS
[ -n "$profile" ] || profile=$(sed -n 's/^profile: *\([a-z0-9_]*\).*/\1/p' "$root/params.yaml")
out=$(realpath -m "${out:-$root/.offline/$profile/out}")

for part in prepared augmented; do
    [ -d "$root/data/$part" ] || fail "data/$part is missing: bring it from where \`dvc repro\` made it"
done

missing=$("$python" - "$root/data/prepared/summary.json" <<'PYTHON'
import json
import sys
from importlib.util import find_spec
from pathlib import Path

names = """numpy scipy pandas pyarrow pydantic ruamel yaml PIL cv2 altair jinja2 vl_convert filelock rich
torch torchmetrics lightning safetensors onnx onnxscript onnxruntime"""
source = json.loads(Path(sys.argv[1]).read_text()).get("source")
names += {"photos": " imagehash", "modest": " imagehash albumentations"}.get(source, "")
print(*(name for name in names.split() if find_spec(name) is None))
PYTHON
) || fail "$python does not run: name another with PYTHON=…"
[ -z "$missing" ] || fail "$python lacks $missing: bring them unpacked in a folder on PYTHONPATH"

# A folder of its own: the checkout keeps its profile, its models and its reports.
work=$root/.offline/$profile
mkdir -p "$work/.done" "$work/logs" "$out"
ln -sfn "$root/data" "$work/data"
chosen=$(IFS=,; echo "${names[*]}")
sed -e "s/^profile:.*/profile: $profile/" ${chosen:+-e "s/^compare:.*/compare: [$chosen]/"} \
    "$root/params.yaml" >"$work/params.yaml"
cd "$work"
list=$("$python" -c '
from depthmask.errors import exit_on_error
from depthmask.config.reading import read_params

with exit_on_error():
    print(*read_params().compare)')
read -ra names <<<"$list"

# What a stage's result depends on; a finished stage is not run again while it stays the same.
fingerprint() {
    { find "$root/src" -name '*.py' -print0 | sort -z | xargs -0 cat; cat data/prepared/summary.json data/augmented/digest.txt 2>/dev/null || true
      # which other experiments are compared is nothing to a training
      if [ "$1" = train ]; then grep -v '^compare:' params.yaml
      else cat params.yaml .done/train-* 2>/dev/null || true; fi; } | sha256sum | cut -c1-16
}

# a model may have been removed by hand
is_made() {
    case $1 in train-*) [ -d "models/experiments/${1#train-}" ] ;; esac
}

pack() {
    local file size pictures=(params.yaml) runs=(logs)
    for file in reports/metrics.json reports/report.html reports/latency.json; do
        if [ -e "$file" ]; then cp "$file" "$out/"; fi
    done
    if [ -e .done/export ]; then
        file=models/best/model_float16.onnx
        if [ ! -e $file ]; then file=models/best/model.onnx; fi
        cp $file "$out/"
    fi
    for file in reports/{panels,plots,tiles,{curves,scenes,robustness}.csv,gate.json}; do
        if [ -e "$file" ]; then pictures+=("$file"); fi
    done
    for file in models/experiments/*/seed_*/{model,settings}.json models/experiments/*/seed_*/curves.csv \
        reports/metrics.json reports/results.md reports/panels; do
        if [ -e "$file" ]; then runs+=("$file"); fi
    done
    tar -czf "$out/pictures.tar.gz" "${pictures[@]}"
    tar -czf "$out/runs.tar.gz" "${runs[@]}"
    for file in "$out"/*; do
        size=$(stat -c %s "$file")
        [ "$size" -lt $((16 * 1024 * 1024)) ] || echo "offline: $file has $size bytes, over 16 MiB" >&2
    done
    echo "offline: packed $(find "$out" -maxdepth 1 -type f | wc -l) files into $out"
}

# run LABEL MODULE [ARGUMENT…]: one stage, unless it is done, within what is left of the time
run() {
    local label=$1 print left=0 status=0
    shift
    print=$(fingerprint "${label%%-*}")
    if [ "$(cat ".done/$label" 2>/dev/null)" = "$print" ] && is_made "$label"; then
        echo "offline: $label is done"
        return
    fi
    rm -f ".done/$label"
    if [ -n "$seconds" ]; then
        left=$((seconds - (SECONDS - started)))
        [ "$left" -gt 0 ] || stop "$label"
    fi
    echo "offline: $label"
    # Ctrl-C's signal, so that the stage ends in its own way; 0 seconds mean no limit
    timeout --signal=INT --kill-after=20 "$left" "$python" -m "$@" 2>&1 | tee -a "logs/$label.log" ||
        status=${PIPESTATUS[0]}
    case $status in
        0) echo "$print" >".done/$label" ;;
        124 | 137) stop "$label" ;;
        *) pack; echo "offline: $label failed with exit code $status" >&2; exit "$status" ;;
    esac
}

stop() {
    pack
    echo "offline: the time is up in $1; run the same command again to go on" >&2
    exit 75
}

for name in "${names[@]}"; do run "train-$name" depthmask.stages.train "$name"; done
run evaluate depthmask.stages.evaluate
run export depthmask.stages.export
pack
