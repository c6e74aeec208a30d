"""Compare ways to train the digits: replicas, workers, bfloat16 networks.

    python tools/compare_strategies.py --output=runs/ways

Trains the same seeds in each of the ways and prints NAE's AUROC of the
held-out digit, for one device with its bootstrap interval. Runs that are
finished are only evaluated again, those that were interrupted go on; one of
other bindings ends the command.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys

from absl import app, flags

ROOT = pathlib.Path(__file__).resolve().parent.parent
WAYS = ("one device", "two replicas", "two workers", "bfloat16")

_OUTPUT = flags.DEFINE_string("output", "runs/ways", "Where runs go.")
_SEEDS = flags.DEFINE_integer("num_seeds", 3, "Seeds 0, 1, ... to train.")
_WAYS = flags.DEFINE_multi_enum("way", list(WAYS), WAYS, "Ways to train.")
_BINDINGS = flags.DEFINE_multi_string(
    "gin_bindings", ["training/Phase.epochs=10"], "Of every run; repeatable."
)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environments(way: str) -> list[dict[str, str]]:
    """Return what to add to the environment of every process of a run."""
    if way != "two workers":
        return [{}]
    workers = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    return [
        {
            "TF_CONFIG": json.dumps(
                {
                    "cluster": {"worker": workers},
                    "task": {"type": "worker", "index": index},
                }
            )
        }
        for index in range(2)
    ]


def train(way: str, seed: int, run_dir: pathlib.Path):
    """Train one run by the command line.

    Raises:
        RuntimeError: a process failed.
    """
    command = [sys.executable, "-m", "nae_tf.train", "--resume"]
    command += [
        f"--run_dir={run_dir}",
        f"--gin_file={ROOT / 'gin' / 'digits.gin'}",
    ]
    bindings = [f"seed={seed}", *_BINDINGS.value]
    if way == "bfloat16":
        bindings.append("Experiment.precision='mixed_bfloat16'")
    command += [f"--gin_bindings={binding}" for binding in bindings]
    if way == "two replicas":
        command.append("--num_replicas=2")
    processes = [
        subprocess.Popen(
            command, env=os.environ | variables, stdout=subprocess.DEVNULL
        )
        for variables in environments(way)
    ]
    if any([process.wait() for process in processes]):
        raise RuntimeError(f"{' '.join(command)} failed.")


def auroc(run_dir: pathlib.Path) -> dict[str, float]:
    """Read NAE's AUROC of a run: value, low and high."""
    results = json.loads((run_dir / "results.json").read_text())
    [outliers] = results["methods"]["NAE"]["outliers"].values()
    return outliers["metrics"]["auroc"]


def main(unused_argv):
    """Train what is missing and print the table."""
    print(f"| seed | interval | {' | '.join(_WAYS.value)} |")
    print(f"| --- | --- |{' --- |' * len(_WAYS.value)}")
    for seed in range(_SEEDS.value):
        found = []
        for way in _WAYS.value:
            name = f"{way.replace(' ', '_')}-{seed}"
            run_dir = pathlib.Path(_OUTPUT.value, name)
            train(way, seed, run_dir)
            found.append(auroc(run_dir))
        low, high = found[0]["low"], found[0]["high"]
        values = " | ".join(f"{each['value']:.4f}" for each in found)
        print(f"| {seed} | {low:.4f} to {high:.4f} | {values} |", flush=True)


if __name__ == "__main__":
    app.run(main)
