"""The command nae-tf serve in a process of its own."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def free_port():
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serve(export, log):
    """Yield the address of a server, its gRPC address and its process."""
    ports = free_port(), free_port()
    with open(log, "w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "nae_tf.serving.serve_command"),
                f"--model={export}",
                f"--http_port={ports[0]}",
                f"--grpc_port={ports[1]}",
            ],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{ports[0]}"
    try:
        while not is_up(f"{url}/v1/models/nae"):
            if process.poll() is not None:
                raise AssertionError(pathlib.Path(log).read_text())
            time.sleep(0.2)
        yield url, f"127.0.0.1:{ports[1]}", process
    finally:
        process.terminate()
        process.wait(timeout=60)


def is_up(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False
