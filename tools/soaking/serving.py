"""Clients ask the servers of an export for a long time.

The export is a Conv28 NAE with weights as they are drawn, for images of
28 x 28. Its servers are the stand-in for TensorFlow Serving of the tests and
KServe's (`pip install "nae-tf[kserve]"`; left out where it is missing). Clients
and server share the machine. The same requests to TensorFlow in this process,
by one thread and by as many as there are clients, tell what a server adds.
"""

import contextlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from importlib import metadata

import numpy as np
from absl import flags

from reproduction.cells import commit, machine
from soaking.clients import ask_for, grpc_client, percentiles, rest_client
from soaking.memory import growth, resident_mebibytes

FLAGS = flags.FLAGS
flags.DEFINE_float("seconds", 600.0, "Seconds per server.", lower_bound=5)
flags.DEFINE_integer("clients", 32, "Number of clients.", lower_bound=1)
flags.DEFINE_string(
    "json", None, "The file of results. The default is in tools/results/soak."
)

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "tools" / "results" / "soak" / "serve.json"
# Thread pools and allocators reach their size first.
WARM_UP = 0.1
UNIT = 10_000  # Requests per slope.


def export(folder: pathlib.Path):
    """Export a model; return its path, images and their energies."""
    import keras
    import tensorflow as tf

    from nae_tf import NAE, Calibration, OnManifold, export_model
    from nae_tf.networks import Conv28Decoder, Conv28Encoder

    keras.utils.set_random_seed(0)
    # Its chains stay in [0, 1], and so do examples.
    sampler = OnManifold.for_images()
    model = NAE(Conv28Encoder(32), Conv28Decoder(32), sampler=sampler)
    levels = np.random.default_rng(0).integers(0, 256, (256, 28, 28, 1))
    images = np.round(levels / 255, 4).astype(np.float32)
    calibration = Calibration(model.predict_outlier_score(images), 0.05)
    path = export_model(model, calibration, folder / "export")
    score = tf.saved_model.load(str(path)).signatures["score"]
    return path, images, score(examples=tf.constant(images))["energy"].numpy()


def bare(path):
    """Return what connects a client with TensorFlow in this process."""
    import tensorflow as tf

    from soaking.clients import RefusedError

    loaded = tf.saved_model.load(str(path))
    score = loaded.signatures["score"]

    def ask(examples):
        try:
            outputs = score(examples=tf.constant(examples))
        except (tf.errors.InvalidArgumentError, TypeError) as error:
            raise RefusedError(str(error)) from error
        return outputs["energy"].numpy()

    ask(np.zeros([1, 28, 28, 1], np.float32))  # The first call compiles.
    return lambda: ask


@contextlib.contextmanager
def running(command, **settings):
    """Run a server; yield its process, and end it."""
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        stderr=subprocess.DEVNULL,
        text=True,
        **settings,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextlib.contextmanager
def stand_in(path):
    """Serve by the stand-in; yield process and protocols."""
    command = [ROOT / "tests/helpers/serving_stand_in.py", path.parent]
    with running(command, stdout=subprocess.PIPE) as process:
        ports = json.loads(process.stdout.readline())
        yield (
            process,
            {
                "REST": rest_client(
                    ports["rest_port"], "/v1/models/nae:predict"
                ),
                "gRPC": grpc_client(ports["grpc_port"]),
            },
        )


@contextlib.contextmanager
def kserve(path):
    """Serve by KServe; yield process and protocols."""
    port = 18_080
    command = [
        *("-m", "nae_tf.serving.serve_command", f"--model={path}"),
        *(f"--http_port={port}", "--grpc_port=0"),
    ]
    with running(command, stdout=subprocess.DEVNULL) as process:
        v1 = rest_client(port, "/v1/models/nae:predict")
        v2 = rest_client(port, "/v2/models/nae/infer", v2=True)
        _wait(process, v1)
        yield process, {"v1": v1, "v2": v2}


def _wait(process, connect):
    """Wait until a server refuses a bad request."""
    from soaking.clients import RefusedError

    while process.poll() is None:
        try:
            connect()(np.zeros([1, 1], np.float32))
        except RefusedError:
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("KServe's server ended; start it by hand to see why.")


def soak(server, path, images, energies) -> dict:
    """Let clients ask a server; return what was measured."""
    samples = []
    with server(path) as (process, protocols):
        ask_for(
            WARM_UP * FLAGS.seconds, protocols, images, energies, FLAGS.clients
        )
        start = time.monotonic()
        counts = ask_for(
            FLAGS.seconds,
            protocols,
            images,
            energies,
            FLAGS.clients,
            lambda counts: samples.append(
                (counts.total() / UNIT, resident_mebibytes(process.pid))
            ),
        )
        seconds = time.monotonic() - start
    return summary(counts) | {
        "requests_per_second": round(counts.total() / seconds, 1),
        "memory_mebibytes_per_10000_requests": growth(
            *zip(*samples, strict=True)
        ),
    }


def summary(counts) -> dict:
    """Return numbers of requests and latencies."""
    return {
        "requests": counts.total(),
        "errors": len(counts.errors),
        "first_errors": counts.errors[:5],
        "refused_as_bad": counts.refused,
        "right_beside_a_bad_row": counts.joined,
        "milliseconds": {
            name: percentiles(values)
            for name, values in counts.latencies.items()
        },
    }


def main():
    """Soak all servers, print and store what was measured."""
    servers = {"stand-in": stand_in}
    if importlib.util.find_spec("kserve"):
        servers["KServe"] = kserve
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        path, images, energies = export(pathlib.Path(folder))
        for name, number in [("1 thread", 1), ("threads", FLAGS.clients)]:
            counts = ask_for(
                WARM_UP * FLAGS.seconds,
                {f"TensorFlow, {name}": bare(path)},
                images,
                energies,
                number,
            )
            results[f"TensorFlow, {name}"] = summary(counts)
        for name, server in servers.items():
            results[name] = soak(server, path, images, energies)
    record = {
        "commit": commit(),
        "machine": machine(),
        "seconds": FLAGS.seconds,
        "clients": FLAGS.clients,
        "versions": {
            package: metadata.version(package)
            for package in ("tensorflow", "kserve")
            if importlib.util.find_spec(package)
        },
        "results": results,
    }
    print(json.dumps(record, indent=1))
    target = pathlib.Path(FLAGS.json) if FLAGS.json else RESULTS
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if any(result["errors"] for result in results.values()):
        raise AssertionError("there were errors; they are in the record.")
