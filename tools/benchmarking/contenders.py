"""What `benchmark.py` measures, each in a process of its own.

Contenders take turns, so that a change of the machine's speed meets all alike,
and neither library disturbs the other's threads or memory.
"""

import abc
import functools
import multiprocessing
import pathlib
import resource
import tempfile
import time
from collections.abc import Callable

import numpy as np

from benchmarking.operations import operation_seconds


class Contender:
    """A model in a process of its own."""

    def __init__(self, make: Callable, *arguments, **keywords):
        """Start the process, which calls `make` with these arguments."""
        make = functools.partial(make, **keywords)
        context = multiprocessing.get_context("spawn")
        self._connection, other_end = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other_end, make, arguments), daemon=True
        )
        self._process.start()

    def call(self, method: str, *arguments):
        """Return what a method of the model returns."""
        return self._request(method, arguments)[1]

    def seconds(self, method: str, *arguments) -> float:
        """Return how long a method took."""
        return self._request(method, arguments)[0]

    def close(self):
        """End the process."""
        self._process.terminate()
        self._process.join()

    def _request(self, method, arguments):
        # Threads of the last contender spin for a while before they sleep.
        time.sleep(1.0)
        self._connection.send((method, arguments))
        answer = self._connection.recv()
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return answer


def _serve(connection, make, arguments):
    try:
        model = make(*arguments)
    except Exception as error:
        model = None
        failure = f"{type(error).__name__}: {error}"
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:  # The benchmark is over.
            return
        try:
            if model is None:
                raise RuntimeError(failure)
            start = time.perf_counter()
            value = getattr(model, method)(*arguments)
            connection.send((time.perf_counter() - start, value))
        except Exception as error:
            connection.send(str(error))


class Scorer(abc.ABC):
    """What scores examples, in a process whose memory is its own."""

    @abc.abstractmethod
    def score(self, examples):
        """Score examples."""

    def set_examples(self, examples):
        """Keep the examples that the methods `score_all...` score."""
        self._examples = examples

    def score_all(self):
        """Score the kept examples."""
        self.score(self._examples)

    def memory(self) -> dict[str, float]:
        """Return the resident memory now and at its peak, in MiB."""
        return resident_memory()


class Ours(Scorer):
    """The model of a gin configuration, on noise instead of its data."""

    def __init__(self, gin_files, bindings, precision, jit_compile=False):
        """Build and compile it; its first step is not measured."""
        import keras
        import tensorflow as tf

        from nae_tf.runs.configuration import parse_config
        from nae_tf.training.experiment import Experiment

        # The data of the configuration need not be there; the digits are.
        no_data = "Experiment.task = @digits_holdout()"
        parse_config(gin_files, [*bindings, no_data])
        experiment = Experiment.from_config()
        keras.utils.set_random_seed(experiment.seed)
        keras.config.set_dtype_policy(precision)
        self.model = experiment.model()
        self.model.compile(experiment.training.optimizer())
        self.batch_size = experiment.training.batch_size
        shape = (self.batch_size, *self.model.example_shape)
        self._batch = tf.random.stateless_uniform(shape, (0, 1))
        self._step = tf.function(self.model.train_step, jit_compile=jit_compile)

    def step(self, count: int = 1):
        """Train for some iterations."""
        for _ in range(count):
            result = self._step((self._batch,))
        float(result["loss"])  # Waits for the last one.

    def operations(self) -> dict[str, float]:
        """Return the seconds of all threads in an iteration, by operation."""
        return operation_seconds(self.step)

    def score(self, examples):
        """Score examples."""
        return self.model.predict_outlier_score(examples)

    def score_all_exported(self):
        """Score the kept examples by the exported SavedModel."""
        for batch in batches(self._examples):
            self._exported.score(batch)

    @functools.cached_property
    def _exported(self):
        from nae_tf.serving.export import export_model
        from nae_tf.serving.saved_model import ExportedModel

        with tempfile.TemporaryDirectory() as directory:
            path = export_model(
                self.model, _calibration(), pathlib.Path(directory)
            )
            return ExportedModel(path)

    def export_for_device(self, directory, format: str) -> pathlib.Path:
        """Export the model for another runtime; return the version's path."""
        from nae_tf.serving import export_for_device

        return export_for_device(
            self.model, _calibration(), directory, format
        ).path

    def on_gpu(self) -> bool:
        """Return whether the model computes on a GPU."""
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))

    def matmul_size(self) -> int:
        """Return the size of a square matrix that keeps the device busy."""
        return 8192 if self.on_gpu() else 2048

    def matmul_rate(self, repeats: int = 8) -> float:
        """Measure FLOP/s of a large matrix product in the networks' type."""
        multiply, matrix = self._matmul
        start = time.perf_counter()
        for _ in range(repeats):
            product = multiply(matrix)
        float(product[0, 0])
        flops = repeats * 2 * len(matrix) ** 3
        return flops / (time.perf_counter() - start)

    @functools.cached_property
    def _matmul(self):
        import tensorflow as tf

        size = self.matmul_size()
        matrix = tf.cast(
            tf.random.stateless_normal((size, size), (0, 1)),
            self.model.encoder.compute_dtype,
        )
        multiply = tf.function(lambda matrix: matrix @ matrix)
        multiply(matrix)
        return multiply, matrix

    def flops(self) -> float:
        """Count the floating-point operations of an iteration, by plain layers.

        A gradient with respect to the state costs as much as the forward pass.
        The update also needs the gradient with respect to the weights.
        """
        encoder = forward_flops(self.model.encoder)
        decoder = forward_flops(self.model.decoder)
        both = encoder + decoder
        sampler = self.model.sampler
        per_example = 2 * sampler.visible_chain.num_steps * both
        per_example += 2 * sampler.latent_chain.num_steps * (both + decoder)
        per_example += decoder + 3 * 2 * both
        return self.batch_size * per_example

    def example_shape(self):
        """Return the shape of one example."""
        return self.model.example_shape

    def weights(self):
        """Return the weights of encoder and decoder."""
        return (
            self.model.encoder.get_weights(),
            self.model.decoder.get_weights(),
        )

    def chains(self):
        """Return the numbers of steps of both chains, and the batch size."""
        sampler = self.model.sampler
        return {
            "latent_steps": sampler.latent_chain.num_steps,
            "visible_steps": sampler.visible_chain.num_steps,
            "batch_size": self.batch_size,
        }


class Twin(Scorer):
    """The same model in PyTorch."""

    def __init__(self, weights, chains, **mode):
        """Build it, with our weights, in a mode of `torch_twin.Twin`."""
        import torch

        from benchmarking import torch_twin

        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._images = torch_twin.images
        self._model = torch_twin.Twin(weights, device=self._device, **mode)
        self._optimizer = torch.optim.Adam(self._model.parameters(), 1e-5)
        self._chains = dict(chains)
        batch_size = self._chains.pop("batch_size")
        self._batch = torch.rand(batch_size, 1, 28, 28, device=self._device)

    def step(self, count: int = 1):
        """Train for some iterations."""
        for _ in range(count):
            self._model.train_step(self._batch, self._optimizer, **self._chains)

    def score(self, examples):
        """Score examples."""
        scores = [
            self._model.outlier_score(self._images(batch).to(self._device))
            .cpu()
            .numpy()
            for batch in batches(examples)
        ]
        return np.concatenate(scores)


class InputPipeline:
    """The batches of a gin configuration, and what consumes them."""

    def __init__(self, gin_files, bindings):
        """Build the loader and the training steps."""
        from nae_tf.runs.configuration import parse_config
        from nae_tf.training.experiment import Experiment

        parse_config(gin_files, bindings)
        experiment = Experiment.from_config()
        model = experiment.build_model()
        phases = {"loader": (experiment.training, next)}
        if experiment.pretraining is not None:
            phases["pretraining step"] = (
                experiment.pretraining,
                _consumer(model.autoencoder(), experiment.pretraining),
            )
        phases["training step"] = (
            experiment.training,
            _consumer(model, experiment.training),
        )
        self._consumers = {}
        for name, (phase, consume) in phases.items():
            loader = iter(
                experiment.task.train.training_batches(
                    phase.batch_size,
                    experiment.seed,
                    dequantize=phase.dequantize,
                    flip=phase.flip,
                )
            )
            consume(loader)  # Traces, and fills the pipeline.
            self._consumers[name] = (loader, phase.batch_size, consume)

    def consumers(self) -> list[str]:
        """Return the names of the consumers that can be measured."""
        return list(self._consumers)

    def rate(self, name: str, seconds: float = 2.0) -> float:
        """Measure the examples per second that a consumer takes."""
        loader, batch_size, consume = self._consumers[name]
        start = time.perf_counter()
        count = 0
        while (elapsed := time.perf_counter() - start) < seconds:
            consume(loader)
            count += batch_size
        return count / elapsed


def _calibration():
    from nae_tf.serving.calibration import Calibration

    return Calibration(np.linspace(0, 1, 100), 0.05)


def _consumer(model, phase):
    import tensorflow as tf

    model.compile(phase.optimizer())
    step = tf.function(model.train_step)
    return lambda loader: step((next(loader),))


def batches(examples, size: int = 256):
    """Cut an array into the batches in which all contenders score."""
    return (
        examples[start : start + size]
        for start in range(0, len(examples), size)
    )


def forward_flops(network) -> float:
    """Count the floating-point operations of a forward pass of one example.

    They are multiplications and additions of layers with kernels, in the plain
    form of Table 10. A faster form counts as the same work.
    """
    total = 0
    for layer in network.layers:
        if not hasattr(layer, "kernel"):
            continue
        positions = 1
        name = type(layer).__name__
        if name.endswith("Conv2DTranspose"):
            scale = getattr(layer, "scale", 1)
            positions = scale**2 * np.prod(layer.input.shape[1:3])
        elif name.endswith("Conv2D"):
            positions = np.prod(layer.output.shape[1:3])
        total += 2 * positions * np.prod(layer.kernel.shape)
    return float(total)


def native_bfloat16() -> bool:
    """Return whether the processor multiplies bfloat16 numbers itself.

    Elsewhere they are converted at every product, which takes longer than
    float32. A system that does not tell has none.
    """
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(text.split())


def resident_memory() -> dict[str, float]:
    """Return the resident memory of this process now and at its peak, MiB."""
    statm = pathlib.Path("/proc/self/statm")
    now = int(statm.read_text().split()[1]) * resource.getpagesize() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return {"now": now, "peak": peak}
