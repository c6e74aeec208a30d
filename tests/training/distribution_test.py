"""Training on several devices and several machines."""

import csv
import inspect
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_runs import start

from nae_tf.runs.checkpoints import CheckpointDirectory
from nae_tf.training import distribution, interruption

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = [
    "MLPEncoder.hidden_units=(16,)",
    "MLPDecoder.hidden_units=(16,)",
    "visible/LangevinChain.num_steps=2",
    "latent/LangevinChain.num_steps=2",
    "OnManifold.replay_capacity=100",
    "pretraining/Phase.epochs=2",
    "training/Phase.epochs=2",
    "training/Phase.steps_per_epoch=3",
    "CheckpointSchedule.interval_seconds=0",
    "CheckpointSchedule.max_share=1",
]


# --- Several devices ----------------------------------------------------------


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine with two GPUs, whose strategy is the list of its devices."""
    gpus = [
        tf.config.PhysicalDevice(f"/physical_device:GPU:{i}", "GPU")
        for i in (0, 1)
    ]
    monkeypatch.setattr(
        tf.config, "list_physical_devices", {"GPU": gpus}.__getitem__
    )
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", list)


@pytest.mark.parametrize("num_replicas", [None, 2])
def test_all_gpus_mirror_the_weights(two_gpus, num_replicas):
    strategy = distribution.make_strategy(num_replicas)
    assert strategy == ["GPU:0", "GPU:1"]


def test_one_of_two_gpus_needs_no_strategy(two_gpus):
    assert distribution.make_strategy(1) is tf.distribute.get_strategy()


@pytest.mark.parametrize("num_replicas", [0, 3])
def test_there_are_no_more_replicas_than_gpus(two_gpus, num_replicas):
    with pytest.raises(
        ValueError,
        match=f"--num_replicas between 1 and 2, .* received {num_replicas}",
    ):
        distribution.make_strategy(num_replicas)


@pytest.fixture(scope="module")
def two_replicas(tmp_path_factory):
    """What tests/helpers/two_replicas.py found."""
    path = tmp_path_factory.mktemp("replicas") / "checkpoint"
    process = subprocess.run(
        [sys.executable, ROOT / "tests" / "helpers" / "two_replicas.py", path],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def assert_equal_metrics(one, two):
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_allclose(
            one[name], two[name], rtol=1e-6, atol=1e-9, err_msg=name
        )


def test_two_replicas_train_as_one_device_does(two_replicas):
    # Batches of 8, 8 and 1 examples, so that one replica has none in the last.
    assert_equal_metrics(*two_replicas["without_noise"])


def test_two_replicas_standardise_as_one_device_does(two_replicas):
    assert_equal_metrics(*two_replicas["standardized"])
    errors = two_replicas["standardized"][0]["positive_energy"]
    assert errors[-1] < 10  # In units of the data it would be thousands.


def test_a_replica_without_examples_runs_convolutions(two_replicas):
    one, two = two_replicas["convolutions"]
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_allclose(
            one[name], two[name], rtol=1e-4, atol=1e-6, err_msg=name
        )


def test_every_replica_has_its_own_noise_and_an_equal_say(two_replicas):
    assert_equal_metrics(*two_replicas["step"])


def test_every_replica_keeps_its_running_means(two_replicas):
    means, again, of_one = two_replicas["means"]
    assert again == means
    for name, (total, count) in means.items():
        # A sum that either replica has of its own four examples.
        assert count == [4, 4] and total[0] != total[1]
        assert of_one[name] == [pytest.approx([sum(total)]), [8]]


def test_one_device_resumes_what_two_replicas_saved(two_replicas):
    resumed = two_replicas["resumed"]
    _, step = two_replicas["step"]
    assert resumed["weights"] == step["weights"]
    assert resumed["step"] == 1
    assert sorted(np.ravel(resumed["latents"])) == sorted(
        np.concatenate(step["latents"])
    )
    assert resumed["size"] == 16


# --- Several machines ---------------------------------------------------------


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def train_command(run_dir, *options):
    return [
        *(sys.executable, "-m", "nae_tf.train", "--gin_file=gin/digits.gin"),
        *(f"--gin_bindings={binding}" for binding in TINY),
        *(f"--run_dir={run_dir}", *options),
    ]


def start_training(command, scratch, **variables):
    """Start a training whose temporary files go below `scratch`."""
    scratch.mkdir(exist_ok=True)
    return start(command, ROOT, TMPDIR=str(scratch), **variables)


def start_workers(command, scratch, count=2):
    """Start a cluster on this machine, the chief first."""
    workers = [f"127.0.0.1:{port}" for port in free_ports(count)]
    return [
        start_training(
            command,
            scratch / f"worker{index}",
            TF_CONFIG=json.dumps(
                {
                    "cluster": {"worker": workers},
                    "task": {"type": "worker", "index": index},
                }
            ),
        )
        for index in range(count)
    ]


def metrics(run_dir):
    with open(run_dir / "metrics.csv", newline="") as file:
        return {
            (row["phase"], row["epoch"], row["metric"]): float(row["value"])
            for row in csv.DictReader(file)
        }


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    """Two workers' run, and the same run of two devices of one machine."""
    path = tmp_path_factory.mktemp("workers")
    cluster, single = path / "cluster", path / "single"
    processes = start_workers(train_command(cluster), path)
    processes.append(
        start_training(
            train_command(single, "--num_replicas=2"), path / "single_tmp"
        )
    )
    outputs = [process.communicate(timeout=300) for process in processes]
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors
    return path, cluster, single, [output for output, _ in outputs]


def test_two_workers_train_as_two_devices_of_one_machine(two_workers):
    _, cluster, single, _ = two_workers
    ours, theirs = metrics(cluster), metrics(single)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert ours[name] == pytest.approx(theirs[name], rel=1e-3), name


def test_only_the_chief_prints_and_writes(two_workers):
    path, cluster, _, (chief, worker, _) = two_workers
    assert f"run directory: {cluster}" in chief
    assert worker == ""
    assert (cluster / "results.json").exists()
    for index in range(2):
        assert not list((path / f"worker{index}").glob("tmp*"))


def test_the_checkpoint_holds_the_states_of_all_workers(two_workers):
    _, cluster, _, _ = two_workers
    saved = CheckpointDirectory(cluster / "checkpoints" / "training").newest()
    [name] = [
        name
        for name, _ in tf.train.list_variables(saved.variables)
        if name.endswith("buffer/.ATTRIBUTES/states")
    ]
    states = tf.train.load_variable(saved.variables, name)
    assert states.shape[:2] == (2, 50)
    assert np.all(np.linalg.norm(states, axis=-1) > 0)
    assert np.any(states[0] != states[1])


def wait_for_checkpoint(run_dir, number):
    path = run_dir / "checkpoints" / "pretraining"
    end = time.monotonic() + 300
    while time.monotonic() < end:
        names = [child.name for child in path.glob("[0-9]*")]
        if any(int(name) >= number for name in names):
            return
        time.sleep(0.01)
    raise TimeoutError(f"no checkpoint {number} in {path}")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_ended_worker_ends_all_and_all_resume(two_workers, tmp_path, number):
    _, cluster, _, _ = two_workers
    command = train_command(tmp_path / "run", "--resume")
    chief, worker = start_workers(command, tmp_path)
    # A slow disk leaves out later ones.
    wait_for_checkpoint(tmp_path / "run", 2)
    worker.send_signal(number)
    _, errors = chief.communicate(timeout=200)
    worker.communicate(timeout=200)
    if number == signal.SIGTERM:
        assert (chief.returncode, worker.returncode) == (75, 75), errors
    else:
        assert chief.returncode == 1
        assert errors.splitlines()[-1].startswith("error: another worker is")
    assert not (tmp_path / "run" / "results.json").exists()
    for process in start_workers(command, tmp_path):
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
    assert metrics(tmp_path / "run") == metrics(cluster)


@pytest.mark.parametrize(
    ("chiefs", "kind", "index", "place"),
    [
        (["a:1"], "chief", 0, 0),
        (["a:1"], "worker", 0, 1),
        (["a:1"], "worker", 1, 2),
        (None, "worker", 0, 0),
        (None, "worker", 1, 1),
    ],
)
def test_the_workers_are_numbered_from_the_chief_on(
    chiefs, kind, index, place, monkeypatch
):
    cluster = {"worker": ["b:1", "c:1"]} | ({"chief": chiefs} if chiefs else {})
    config = {"cluster": cluster, "task": {"type": kind, "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    monkeypatch.setattr(distribution, "spans_machines", lambda strategy: True)
    assert distribution.worker_index() == place


@pytest.mark.parametrize("name", [".", "run"])
def test_other_workers_write_into_a_copy(name, tmp_path, monkeypatch):
    monkeypatch.setattr(distribution, "worker_index", lambda: 1)
    monkeypatch.chdir(tmp_path)
    run_dir = pathlib.Path(name)
    run_dir.mkdir(exist_ok=True)
    (run_dir / "config.gin").write_text("seed = 0")
    with distribution.shared_run(run_dir) as copy:
        assert (copy / "config.gin").read_text() == "seed = 0"
        (copy / "config.gin").write_text("seed = 1")
    assert (run_dir / "config.gin").read_text() == "seed = 0"
    assert not copy.exists()


def test_a_signal_that_comes_while_workers_agree_waits(monkeypatch):
    def all_gather(*values):
        # Late: this worker's values are on their way.
        os.kill(os.getpid(), signal.SIGTERM)
        return np.array([values, [0] * len(values)])

    monkeypatch.setattr(interruption, "all_gather", all_gather)
    with interruption.Interruption() as watched:
        watched.agree()
        assert watched.signal is None
        watched.agree()
        assert watched.signal == signal.SIGTERM


def test_keras_builds_by_the_method_that_several_machines_replace():
    """Fails when Keras renames what `OutlierDetector` overrides."""
    method = keras.Model._maybe_symbolic_build
    assert list(inspect.signature(method).parameters) == [
        "self",
        "iterator",
        "data_batch",
    ]
