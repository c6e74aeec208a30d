"""Look for bytes that a reader neither reads nor refuses, by coverage.

    pip install atheris && PYTHONPATH=tests/helpers:. \
        python tests/hostile/fuzz.py npz -max_total_time=120

The name is one of `fuzz_targets.TARGETS`; other arguments are libFuzzer's.
What it finds becomes a test of its own, and is never committed as a file.
"""

import os
import pathlib
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import atheris

with atheris.instrument_imports(include=["nae_tf"]):
    import fuzz_targets


def main():
    name = sys.argv[1]
    target, seed = fuzz_targets.TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "seed").write_bytes(seed)
        arguments = [sys.argv[0], *sys.argv[2:], "-max_len=4096", folder]
        atheris.Setup(arguments, target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
