"""Clients of a server of an export that know the right answers."""

import collections
import concurrent.futures
import dataclasses
import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterable

import numpy as np

# Of so many requests one is refused, and one has a bad row among good ones.
PERIOD = 20
MAX_ROWS = 8


@dataclasses.dataclass(frozen=True)
class Request:
    """A request whose answer is known.

    Attributes:
        examples: float32 [rows, ...].
        energies: float [rows], NaN in the rows of bad examples; None for a
            request that has to be refused.
    """

    examples: np.ndarray
    energies: np.ndarray | None


class RefusedError(Exception):
    """The server refused a request, as a client's mistake."""


# Asks a server; returns energies [rows], or raises RefusedError.
Ask = Callable[[np.ndarray], np.ndarray]


def requests(
    images: np.ndarray, energies: np.ndarray, seed: int
) -> Iterable[Request]:
    """Draw requests of 1 to `MAX_ROWS` rows without end.

    Args:
        images: float32 [number, height, width, channels] in [0, 1].
        energies: float [number], scores of the images.
        seed: seed of the rows.
    """
    random = np.random.default_rng(seed)
    for number in itertools.count():
        rows = random.integers(len(images), size=random.integers(MAX_ROWS) + 1)
        examples, expected = images[rows], energies[rows].astype(float)
        if number % PERIOD == PERIOD // 2:
            yield Request(examples[:, 1:], None)
        elif number % PERIOD == PERIOD - 1:
            examples[0, 0, 0], expected[0] = 1.5, np.nan  # Out of range.
            yield Request(examples, expected)
        else:
            yield Request(examples, expected)


def rest_client(port: int, path: str, v2: bool = False) -> Callable[[], Ask]:
    """Return what connects a client by HTTP.

    Args:
        port: port on this machine.
        path: path of the URL.
        v2: whether to speak KServe's protocol v2, or the v1 that is that of
            TensorFlow Serving.
    """

    def connect():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)

        def ask(examples):
            # Levels of four digits, as a program in another language sends.
            values = np.round(examples.astype(float), 4)
            if v2:
                tensor = {
                    "name": "examples",
                    "shape": list(values.shape),
                    "datatype": "FP32",
                    "data": values.ravel().tolist(),
                }
                body: dict = {"inputs": [tensor]}
            else:
                body = {"inputs": {"examples": values.tolist()}}
            connection.request(
                "POST",
                path,
                json.dumps(body),
                {"Content-Type": "application/json"},
            )
            response = connection.getresponse()
            answer = json.loads(response.read())
            if response.status == 400:
                raise RefusedError(answer["error"])
            if response.status != 200:
                raise AssertionError(f"status {response.status}: {answer}")
            if v2:
                outputs = {x["name"]: x["data"] for x in answer["outputs"]}
            else:
                outputs = answer["outputs"]
            return np.array(outputs["energy"], float)

        return ask

    return connect


def grpc_client(port: int) -> Callable[[], Ask]:
    """Return what connects a client by `PredictionService`.

    Args:
        port: port on this machine.
    """
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2
    from tensorflow_serving.apis import prediction_service_pb2_grpc as service

    def connect():
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        stub = service.PredictionServiceStub(channel)

        def ask(examples):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "nae"
            request.inputs["examples"].CopyFrom(tf.make_tensor_proto(examples))
            try:
                response = stub.Predict(request, timeout=600)
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
                    raise RefusedError(error.details()) from error
                raise
            return tf.make_ndarray(response.outputs["energy"])

        return ask

    return connect


class Counts:
    """What all clients of a server have seen.

    Attributes:
        latencies: seconds of right answers by protocol.
        errors: descriptions of wrong answers.
        refused: number of requests that were refused as they had to be.
        joined: number of requests with a bad row that were answered right.
    """

    def __init__(self):
        """Begin with nothing."""
        self.latencies = collections.defaultdict(list)
        self.errors = []
        self.refused = 0
        self.joined = 0
        self.lock = threading.Lock()

    def total(self) -> int:
        """Return the number of requests so far."""
        return self.refused + sum(map(len, self.latencies.values()))


def ask_for(
    seconds: float,
    protocols: dict[str, Callable[[], Ask]],
    images: np.ndarray,
    energies: np.ndarray,
    num_clients: int = 32,
    watch: Callable[[Counts], None] = lambda counts: None,
) -> Counts:
    """Let clients ask a server, each one request after the other.

    Args:
        seconds: how long.
        protocols: what connects a client, by protocol; clients take turns.
        images: float32 [number, height, width, channels] in [0, 1].
        energies: float [number], scores of the images.
        num_clients: number of clients.
        watch: is called twice per second.

    Returns:
        What they saw.
    """
    counts = Counts()
    names = list(protocols)
    deadline = time.monotonic() + seconds

    def client(number):
        name = names[number % len(names)]
        ask = protocols[name]()
        for request in requests(images, energies, number):
            if time.monotonic() > deadline:
                return
            start = time.perf_counter()
            error = _error(ask, request)
            duration = time.perf_counter() - start
            with counts.lock:
                if error:
                    counts.errors.append(f"{name}: {error}")
                elif request.energies is None:
                    counts.refused += 1
                else:
                    counts.latencies[name].append(duration)
                    counts.joined += bool(np.isnan(request.energies).any())

    with concurrent.futures.ThreadPoolExecutor(num_clients) as threads:
        clients = [threads.submit(client, n) for n in range(num_clients)]
        while time.monotonic() < deadline:
            time.sleep(0.5)
            watch(counts)
        for done in clients:
            done.result()
    return counts


def _error(ask, request):
    """Return what is wrong with an answer, or None."""
    try:
        energies = ask(request.examples)
    except RefusedError as error:
        return None if request.energies is None else f"refused: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if request.energies is None:
        return "a bad request was answered"
    if not np.allclose(energies, request.energies, 1e-4, 1e-6, equal_nan=True):
        return f"expected {request.energies}, received {energies}"
    return None


def percentiles(seconds: Iterable[float]) -> dict:
    """Return the number and percentiles of latencies, in milliseconds."""
    values = 1000 * np.asarray(list(seconds))
    marks = {"p50": 50, "p99": 99, "p99.9": 99.9}
    return {"count": len(values)} | {
        name: round(float(np.percentile(values, mark)), 3)
        for name, mark in marks.items()
    }
