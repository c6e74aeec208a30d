"""Compare strategies of training: replicas, workers, bfloat16 networks.

    python tools/compare_strategies.py --output=runs/strategies

Trains the same seeds by every strategy and prints NAE's AUROC of the held-out
digit, for one device with its bootstrap interval. Finished runs are evaluated
again, interrupted ones continue; a run of other bindings ends the command.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys

from absl import app, flags

from reproduction.markdown_tables import print_table

ROOT = pathlib.Path(__file__).resolve().parent.parent
STRATEGIES = ("one device", "two replicas", "two workers", "bfloat16")

_OUTPUT = flags.DEFINE_string(
    "output", "runs/strategies", "Directory that the runs are written into."
)
_SEEDS = flags.DEFINE_integer(
    "num_seeds", 3, "Number of seeds to train: 0, 1, ..."
)
_STRATEGIES = flags.DEFINE_multi_enum(
    "strategy",
    list(STRATEGIES),
    STRATEGIES,
    "Strategies to compare; repeatable, all by default.",
)
_BINDINGS = flags.DEFINE_multi_string(
    "gin_bindings",
    ["training/Phase.epochs=10"],
    "Gin bindings of every run; repeatable.",
)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environments(strategy: str) -> list[dict[str, str]]:
    """Return what to add to the environment of every process of a run."""
    if strategy != "two workers":
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


def train(strategy: str, seed: int, run_dir: pathlib.Path):
    """Train one run by the command line.

    Raises:
        RuntimeError: if a process failed.
    """
    command = [sys.executable, "-m", "nae_tf.train", "--resume"]
    command += [
        f"--run_dir={run_dir}",
        f"--gin_file={ROOT / 'gin' / 'digits.gin'}",
    ]
    bindings = [f"seed={seed}", *_BINDINGS.value]
    if strategy == "bfloat16":
        bindings.append("Experiment.precision='mixed_bfloat16'")
    command += [f"--gin_bindings={binding}" for binding in bindings]
    if strategy == "two replicas":
        command.append("--num_replicas=2")
    processes = [
        subprocess.Popen(
            command, env=os.environ | variables, stdout=subprocess.DEVNULL
        )
        for variables in environments(strategy)
    ]
    if any([process.wait() for process in processes]):
        raise RuntimeError(f"{' '.join(command)} failed.")


def auroc(run_dir: pathlib.Path) -> dict[str, float]:
    """Read NAE's AUROC of a run: value, low and high."""
    results = json.loads((run_dir / "results.json").read_text())
    [outliers] = results["methods"]["NAE"]["outliers"].values()
    return outliers["metrics"]["auroc"]


def row(seed: int) -> list[str]:
    """Train a seed by every strategy; return its row of the table."""
    found = []
    for strategy in _STRATEGIES.value:
        name = f"{strategy.replace(' ', '_')}-{seed}"
        run_dir = pathlib.Path(_OUTPUT.value, name)
        train(strategy, seed, run_dir)
        found.append(auroc(run_dir))
    interval = f"{found[0]['low']:.4f} to {found[0]['high']:.4f}"
    return [str(seed), interval, *(f"{each['value']:.4f}" for each in found)]


def main(unused_argv):
    """Train what is missing and print the table."""
    header = ["seed", "interval", *_STRATEGIES.value]
    print_table(header, map(row, range(_SEEDS.value)))


if __name__ == "__main__":
    app.run(main)
