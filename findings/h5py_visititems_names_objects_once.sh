#!/usr/bin/env bash
# h5py: the names that visititems finds.
#
# Guess: visititems calls its function "exactly once for each link", as its
# documentation says, soft and external links excepted; so a dataset with two
# names is found under both, as keys() lists them.
#
# Seen with h5py 3.14.0 and 3.16.0 (NumPy 2.4.6, Python 3.11): it calls the
# function once for each object, under the name that sorts first. A second hard
# link is missing like soft and external links, and a reader that offers the names
# visititems found does not know the name under which the dataset was written.
# visititems_links finds all of them. Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/try.py" <<'PYTHON'
import pathlib
import sys

import h5py

folder = pathlib.Path(sys.argv[1])
folder.mkdir()
with h5py.File(folder / "other.h5", "w") as file:
    file["rows"] = [1, 2, 3]
with h5py.File(folder / "rows.h5", "w") as file:
    file["rows"] = [1, 2, 3]
    file["alias"] = file["rows"]
    file["external"] = h5py.ExternalLink("other.h5", "/rows")
    file["soft"] = h5py.SoftLink("/rows")
found = {"keys": [], "visititems": [], "visititems_links": []}
with h5py.File(folder / "rows.h5") as file:
    found["keys"] = sorted(file)
    file.visititems(lambda name, _: found["visititems"].append(name))
    file.visititems_links(lambda name, _: found["visititems_links"].append(name))
    readable = all(file[name].shape == (3,) for name in file)
print("h5py", h5py.__version__)
for name, names in found.items():
    print(f"  {name}: {', '.join(names)}")
names = ["alias", "external", "rows", "soft"]
expected = {"keys": names, "visititems": ["alias"], "visititems_links": names}
sys.exit(not readable or found != expected)
PYTHON
for version in 3.14.0 3.16.0; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet "h5py==$version" "numpy==2.4.6"
  "$folder/$version/bin/python" "$folder/try.py" "$folder/files-$version"
done

# h5py 3.14.0
#   keys: alias, external, rows, soft
#   visititems: alias
#   visititems_links: alias, external, rows, soft
# h5py 3.16.0
#   keys: alias, external, rows, soft
#   visititems: alias
#   visititems_links: alias, external, rows, soft
