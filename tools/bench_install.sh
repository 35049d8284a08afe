#!/usr/bin/env bash
# Installs the implementations that tools/bench.py compares with. `pip install -e '.[bench]'` takes those that resolve beside this PyTorch;
# the others ask for an old one, so they go into a folder of their own, without what they require. tools/bench.py looks there.
#
#     tools/bench_install.sh            # into .bench/
#     tools/bench_install.sh FOLDER     # then: python tools/bench.py --folder FOLDER
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
folder=${1:-$here/.bench}
cd "$here" && python -m pip install -e '.[bench]'
python -m pip install --no-deps --upgrade --target "$folder" 'perceiver-io==0.6.0' 'flash-perceiver==0.2.0'
echo "installed into $folder"
