#!/usr/bin/env bash
# filelock: a lock file that says who holds it.
#
# Guess: the holder of a filelock.FileLock can write its process and host into the
# lock file, as one does with flock, and whoever is refused reads them there.
#
# Seen with filelock 3.12.0 and 4.3.1 (Python 3.11, Linux): with 3.12.0 the text is
# gone. The refused attempt itself empties the file of the holder before it asks
# for the lock. With 4.3.1 the text stays. A package that admits both keeps the
# text in a file of its own. Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/try.py" <<'PYTHON'
import importlib.metadata
import pathlib
import sys

import filelock

path = pathlib.Path(sys.argv[1])
expected = sys.argv[2]
with filelock.FileLock(str(path)):
    path.write_text("process 1\n")
    try:
        filelock.FileLock(str(path)).acquire(timeout=0)
    except filelock.Timeout:
        found = path.read_text().strip() or "nothing"
    else:
        found = "the lock, twice"
print(f"filelock {importlib.metadata.version('filelock')}: "
      f"after a refused attempt the file holds {found}")
sys.exit(found != expected)
PYTHON
for pair in "3.12.0 nothing" "4.3.1 process 1"; do
  version=${pair%% *}
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet "filelock==$version"
  "$folder/$version/bin/python" "$folder/try.py" "$folder/$version.lock" "${pair#* }"
done

# filelock 3.12.0: after a refused attempt the file holds nothing
# filelock 4.3.1: after a refused attempt the file holds process 1
