#!/usr/bin/env bash
# uproot: what an assignment to a ROOT file writes.
#
# Guess: file["events"] = {...} writes a TTree, as tutorials and years of uproot
# have it, so programs that read TTrees open the file whatever uproot 5 is there.
#
# Seen with uproot 5.6.9 and 5.7.7 (NumPy 2.4.6, Python 3.11): 5.6.9 writes a
# TTree and announces the change in a FutureWarning; 5.7.7 writes an RNTuple and
# says nothing. mktree makes a TTree in both. A package that admits both has to
# call mktree, and a reader has to know both kinds. Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/try.py" <<'PYTHON'
import sys
import warnings

import numpy as np
import uproot

path, *expected = sys.argv[1:]
with uproot.recreate(path) as file:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        file["assigned"] = {"x": np.arange(3.0)}
    file.mktree("made", {"x": np.dtype(float)}).extend({"x": np.arange(3.0)})
with uproot.open(path) as file:
    kinds = file.classnames(cycle=False)
warned = seen[0].category.__name__ if seen else "silent"
print(f"uproot {uproot.__version__}: assigned {kinds['assigned']}, {warned}; "
      f"mktree {kinds['made']}")
sys.exit([kinds["assigned"], warned, kinds["made"]] != [*expected, "TTree"])
PYTHON
for seen in "5.6.9 TTree FutureWarning" "5.7.7 ROOT::RNTuple silent"; do
  read -r version kind warned <<<"$seen"
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet "numpy==2.4.6" "uproot==$version"
  "$folder/$version/bin/python" "$folder/try.py" \
    "$folder/$version.root" "$kind" "$warned"
done

# uproot 5.6.9: assigned TTree, FutureWarning; mktree TTree
# uproot 5.7.7: assigned ROOT::RNTuple, silent; mktree TTree
