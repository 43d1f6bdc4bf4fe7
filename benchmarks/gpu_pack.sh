#!/usr/bin/env bash
# Makes build/gpu, all that benchmarks/gpu.py needs on a machine that has little and can fetch nothing: wheels, and a corpus of
# simulated regions. It and the checkout must stay below 64 MiB together. Run it in an environment in which sdovis is installed
# with its developer's tools; it downloads 35 MB, and simulating takes minutes.
#
#   benchmarks/gpu_pack.sh
#   EXAMPLE=FILE benchmarks/gpu_pack.sh      with transformers' run_image_classification.py, to be measured beside sdovis
#   DISCS=20 benchmarks/gpu_pack.sh          fewer images: for a rehearsal
set -euo pipefail
cd "$(dirname "$0")/.."
python=$PWD/${PYTHON:-.venv/bin/python}
bundle=build/gpu work=build/gpu-pack discs=${DISCS:-184}
export OMP_WAIT_POLICY=PASSIVE PIP_DISABLE_PIP_VERSION_CHECK=1

rm -rf "$bundle"
mkdir -p "$bundle/wheels" "$work"

platforms=()
for platform in manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014 manylinux1; do
    platforms+=(--platform "${platform}_x86_64")
done
# Without --no-deps pip would bring another torch along.
"$python" benchmarks/gpu_wheels.py >"$work/wheels.txt"
"$python" -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 --implementation cp "${platforms[@]}" \
    --dest "$bundle/wheels" --requirement "$work/wheels.txt"
# Its code there is the checkout's; what counts is that plug-ins are registered.
"$python" -m pip wheel -q --no-deps --no-build-isolation --wheel-dir "$bundle/wheels" .

if [ "$(cat "$work/discs.txt" 2>/dev/null)" != "$discs" ]; then
    rm -rf "$work/discs" "$work/runs"
    "$python" -m sdovis simulate "$work/discs" --full-disc --discs "$discs" --seed 13
    echo "$discs" >"$work/discs.txt"
fi
(cd "$work" && "$python" -m sdovis prepare ../../benchmarks/gpu.toml)
"$python" benchmarks/gpu_bundle.py "$work" "$bundle" "$discs"
if [ -n "${EXAMPLE:-}" ]; then
    cp "$EXAMPLE" "$bundle/run_image_classification.py"
fi

# What a checkout weighs: what git would not ignore.
tracked=$(git ls-files -z --cached --others --exclude-standard | xargs -0 cat | wc -c)
carried=$(find "$bundle" -type f -print0 | xargs -0 cat | wc -c)
echo "$bundle: $((carried / 1024)) KiB; the checkout: $((tracked / 1024)) KiB; both may have 65536 KiB"
if [ $((tracked + carried)) -ge $((64 * 1024 * 1024)) ]; then
    echo "too much for one journey: take fewer DISCS" >&2
    exit 1
fi
