#!/usr/bin/env bash
# make bench-peers VENV=DIR: runs peers.py with the Python of a virtual environment.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
if [ -z "${VENV:-}" ] || [ ! -x "$VENV/bin/python" ]; then
    echo "bench-peers: make a virtual environment outside the tree and name it:" >&2
    echo "    python3 -m venv DIR && DIR/bin/pip install torch timm onnx onnxscript onnxruntime openvino safetensors" >&2
    echo "    make bench-peers VENV=DIR" >&2
    exit 2
fi
exec "$VENV/bin/python" tests/bench/peers.py --step "$build/step" ${PEERS_ARGS:-}
