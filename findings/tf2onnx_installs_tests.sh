#!/usr/bin/env bash
# tf2onnx: what its wheel installs beside itself.
#
# Guess: a wheel installs the package of its name. A project whose tests are a package
# `tests` that import each other as `tests.helpers` is not touched by a converter.
#
# Seen with tf2onnx 1.17.0 (Python 3.11, Linux): the wheel brings the top-level packages
# `tests`, `examples` and `tools`, too. `import tests` or `import tools` finds those of
# tf2onnx wherever the folder of the project is not first on the path, as in an
# installed command. Tests and tools that are no packages of these names are safe.
# Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet --no-deps "tf2onnx==1.17.0"
cat >"$folder/try.py" <<'PYTHON'
import importlib.util
import sys
from importlib import metadata

files = metadata.files("tf2onnx")
tops = sorted({file.parts[0] for file in files if len(file.parts) > 1})
packages = [top for top in tops if top.isidentifier() and top != "tf2onnx"]
print("tf2onnx", metadata.version("tf2onnx"), "installs beside itself:", packages)
for name in packages:
    found = importlib.util.find_spec(name)
    places = [found.origin or "", *found.submodule_search_locations]
    print(f"import {name}: from", *{p.split("/")[-2] for p in places if p})
sys.exit(packages != ["examples", "tests", "tools"])
PYTHON
cd "$folder" && "$folder/environment/bin/python" "$folder/try.py"

# tf2onnx 1.17.0 installs beside itself: ['examples', 'tests', 'tools']
# import examples: from site-packages
# import tests: from site-packages
# import tools: from site-packages
