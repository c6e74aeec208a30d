r"""Measure the reading of tables against pyarrow alone.

    python tools/benchmark_readers.py [--rows=1000000] [--columns=30] \
        [--json=tools/results/benchmarks/readers.json]

Writes a CSV of random numbers to a folder of its own, and reads it batch by
batch: by pyarrow's streaming reader, and by the reader of `nae-tf score`.
Contenders take turns in processes of their own; shown are the median seconds
and the range over the turns, the median seconds of all cores together, and the
most memory that reading added. --json keeps all single measurements.
"""

import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata

import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_integer("rows", 1_000_000, "Number of rows of the table.")
flags.DEFINE_integer("columns", 30, "Number of its columns.")
flags.DEFINE_integer("repeats", 5, "Number of turns that count.")
flags.DEFINE_enum("contender", None, ["pyarrow", "ours"], "Read once, by it.")
flags.DEFINE_string("path", None, "Table that --contender reads.")
flags.DEFINE_string("json", None, "File for all single measurements.")


def write_table(path: pathlib.Path):
    """Write random numbers below names of columns."""
    import pyarrow
    from pyarrow import csv

    generator = np.random.default_rng(0)
    columns = {
        f"feature{index}": generator.normal(size=FLAGS.rows)
        for index in range(FLAGS.columns)
    }
    csv.write_csv(pyarrow.table(columns), path)


def read_by_pyarrow(path: str) -> int:
    """Read batches as pyarrow's documentation does; return their rows."""
    from pyarrow import csv

    with csv.open_csv(path) as batches:
        return sum(batch.num_rows for batch in batches)


def read_by_ours(path: str) -> int:
    """Read batches as `nae-tf score` does; return their rows."""
    from nae_tf.data.readers.stream import open_stream

    stream = open_stream(path, (FLAGS.columns,), batch_size=256)
    return sum(len(batch.load()) for batch in stream.batches)


def measure(read) -> dict[str, float]:
    """Return seconds and bytes that one reading takes."""
    # Importing and the threads of the first call are not what is measured.
    with tempfile.TemporaryDirectory() as folder:
        small = pathlib.Path(folder) / "small.csv"
        names = [f"x{index}" for index in range(FLAGS.columns)]
        small.write_text(
            ",".join(names) + "\n" + ",".join(["0.5"] * len(names))
        )
        read(str(small))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, used = time.perf_counter(), time.process_time()
    rows = read(FLAGS.path)
    seconds = time.perf_counter() - start
    cores = time.process_time() - used
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if rows != FLAGS.rows:
        raise ValueError(f"expected {FLAGS.rows} rows, received {rows}.")
    return {
        "seconds": seconds,
        "cores": cores,
        "bytes": 1024 * (after - before),
    }


def main(_):
    """Measure one contender, or let both take turns."""
    readers = {"pyarrow": read_by_pyarrow, "ours": read_by_ours}
    if FLAGS.contender is not None:
        print(json.dumps(measure(readers[FLAGS.contender])))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "table.csv"
        write_table(path)
        print(f"{FLAGS.rows} x {FLAGS.columns}, {path.stat().st_size} bytes")
        turns: dict[str, list] = {name: [] for name in readers}
        for turn in range(FLAGS.repeats + 1):
            for name, results in turns.items():
                command = [sys.executable, __file__, f"--contender={name}"]
                sizes = f"--rows={FLAGS.rows}", f"--columns={FLAGS.columns}"
                output = subprocess.check_output(
                    [*command, f"--path={path}", *sizes], text=True
                )
                if turn:  # The first turn reads the file into the cache.
                    results.append(json.loads(output.splitlines()[-1]))
    for name, results in turns.items():
        seconds = [result["seconds"] for result in results]
        cores = statistics.median(result["cores"] for result in results)
        memory = max(result["bytes"] for result in results)
        print(
            f"{name:8} {statistics.median(seconds):.2f} s "
            f"({min(seconds):.2f} to {max(seconds):.2f}), {cores:.2f} s of "
            f"cores, {memory >> 20} MiB"
        )
    if FLAGS.json is not None:
        store(turns)


def store(turns: dict[str, list]):
    """Write all measurements, and what they were made on."""
    # It imports TensorFlow, which pyarrow's processes need not.
    from reproduction.cells import commit, machine

    libraries = ("numpy", "pyarrow", "tensorflow")
    content = {
        "commit": commit(),
        "machine": machine(),
        "load_average": os.getloadavg(),
        "versions": {name: metadata.version(name) for name in libraries},
        "rows": FLAGS.rows,
        "columns": FLAGS.columns,
        "turns": turns,
    }
    text = json.dumps(content, indent=1) + "\n"
    pathlib.Path(FLAGS.json).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    app.run(main)
