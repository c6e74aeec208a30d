"""Measure speed and memory. Run it on a machine that does nothing else.

    python tools/benchmark.py step --versus=torch   a training iteration
    python tools/benchmark.py inference --versus=torch   10,000 scores
    python tools/benchmark.py likelihood --versus=torch   ten steps and 1,000
                                              scores of Glow and of PixelCNN++
    python tools/benchmark.py scaling   over chain length, batch and iterations
    python tools/benchmark.py data      input pipeline against training
    python tools/benchmark.py peak      what a large matrix product reaches
    python tools/benchmark.py profile   the operations of a training iteration

Contenders take turns in processes of their own; shown are the median and the
range over the turns. --versus=torch adds the same networks in PyTorch (pip
install torch), plain and in the ways of its best users; to inference it also
adds ONNX Runtime and OpenVINO, where the extras onnx and openvino are
installed. bfloat16 is measured on GPUs and on processors that have it. --xla
adds ours compiled by XLA, for a GPU. --json=FILE keeps all single measurements.
"""

import importlib.util
import json
import os
import statistics
import tempfile
from collections.abc import Sequence

import numpy as np
from absl import app, flags

from benchmarking.contenders import (
    Contender,
    InputPipeline,
    Ours,
    Twin,
    native_bfloat16,
)
from benchmarking.likelihood_contenders import (
    LikelihoodTwinContender,
    OurLikelihood,
)
from benchmarking.runtimes import Runtime
from benchmarking.turns import show_best_peers, show_seconds, take_turns

FLAGS = flags.FLAGS
flags.DEFINE_multi_string(
    "gin_file", ["gin/mnist.gin"], "Gin files of the model; repeatable."
)
flags.DEFINE_multi_string(
    "gin_bindings", [], "Gin bindings of the model; repeatable."
)
flags.DEFINE_integer("repeats", 5, "Number of turns that count.")
flags.DEFINE_float(
    "minutes",
    10.0,
    "Longest time of all turns, of which there is one that counts at least.",
)
flags.DEFINE_enum("versus", None, ["torch"], "Library to compare with.")
flags.DEFINE_bool("xla", False, "In step, add ours compiled by XLA.")
flags.DEFINE_integer(
    "num_examples", 10_000, "Number of examples that inference scores."
)
flags.DEFINE_integer(
    "iterations", 1000, "Number of iterations whose memory scaling measures."
)
flags.DEFINE_list(
    "over",
    ["visible chain's steps", "batch size", "iterations"],
    "What the sub-command scaling varies; all by default.",
)
flags.DEFINE_string(
    "json", None, "File that all single measurements are written to."
)

# In the order of the page on speed.
PLAIN, BFLOAT16 = "PyTorch", "PyTorch, channels_last, bfloat16"
TWINS = {
    PLAIN: {},
    "PyTorch, channels_last": {"channels_last": True},
    "PyTorch, compiled": {"channels_last": True, "compiled": True},
    BFLOAT16: {"channels_last": True, "bfloat16": True},
}
RUNTIMES = {
    "onnx": ("ONNX Runtime", "tf2onnx"),
    "openvino": ("OpenVINO", "openvino"),
}
_NUM_SCORES = 1_000


def turns(measures: dict) -> dict:
    """Take as many turns as the flags say."""
    return take_turns(measures, FLAGS.repeats, FLAGS.minutes)


def our_models() -> dict[str, Contender]:
    """Start our model in every precision that the device computes with."""

    def start(precision):
        return Contender(Ours, FLAGS.gin_file, FLAGS.gin_bindings, precision)

    models = {"ours, float32": start("float32")}
    if native_bfloat16() or models["ours, float32"].call("on_gpu"):
        models["ours, bfloat16"] = start("mixed_bfloat16")
    return models


def contenders() -> dict[str, Contender]:
    """Start our model in every precision, and the twins if asked for."""
    ours = our_models()
    if FLAGS.versus is None:
        return ours
    reference = ours["ours, float32"]
    weights, chains = reference.call("weights"), reference.call("chains")
    twins = {
        name: Contender(Twin, weights, chains, **mode)
        for name, mode in TWINS.items()
        if name != BFLOAT16 or "ours, bfloat16" in ours
    }
    _check_same(twins[PLAIN], reference)
    return {**twins, **ours}


def runtimes(reference: Contender, directory) -> dict[str, Contender]:
    """Start the scores of our model by the other runtimes that there are."""
    found = {}
    for format, (title, converter) in RUNTIMES.items():
        if importlib.util.find_spec(converter) is None:
            continue
        path = reference.call("export_for_device", directory, format)
        found[title] = Contender(Runtime, format, path, os.cpu_count())
        _check_same(found[title], reference)
    return found


def _check_same(peer: Contender, reference: Contender):
    shape = reference.call("example_shape")
    examples = np.random.default_rng(0).uniform(size=(64, *shape))
    examples = examples.astype(np.float32)
    np.testing.assert_allclose(
        peer.call("score", examples),
        reference.call("score", examples),
        # GPUs round factors of float32 products to TF32.
        rtol=1e-3 if reference.call("on_gpu") else 1e-4,
        err_msg="the peer is not the same model",
    )


def step():
    """Time a training iteration."""
    models = contenders()
    if FLAGS.xla:
        models |= {
            f"ours, {title}, XLA": Contender(
                Ours, FLAGS.gin_file, FLAGS.gin_bindings, precision, True
            )
            for title, precision in [
                ("float32", "float32"),
                ("bfloat16", "mixed_bfloat16"),
            ]
            if f"ours, {title}" in models
        }
    measures = {
        name: lambda model=model: model.seconds("step")
        for name, model in models.items()
    }
    ours = {name: model for name, model in models.items() if "ours" in name}
    for name, model in ours.items():
        measures[f"matmul, {name}"] = lambda model=model: model.call(
            "matmul_rate"
        )
    values = turns(measures)
    seconds = {name: values[name] for name in models}
    show_seconds(seconds, PLAIN)
    show_best_peers(seconds)
    reference = ours["ours, float32"]
    flops, size = reference.call("flops"), reference.call("matmul_size")
    print(f"\n{flops / 1e9:.0f} GFLOP per iteration, by the networks' shapes")
    for name in ours:
        rate = flops / statistics.median(seconds[name])
        matmul = statistics.median(values[f"matmul, {name}"])
        print(
            f"{name}: {rate / 1e9:.0f} GFLOP/s; a {size} x {size} matrix "
            f"product {matmul / 1e9:.0f}; share {rate / matmul:.0%}"
        )
    memory = {name: model.call("memory") for name, model in models.items()}
    for name, sizes in memory.items():
        print(f"{name}: peak memory {sizes['peak']:.0f} MiB")
    return {"measurements": values, "flops": flops, "memory": memory}


def inference():
    """Time the scores of many examples."""
    models = contenders()
    if FLAGS.versus:
        with tempfile.TemporaryDirectory() as directory:
            models |= runtimes(models["ours, float32"], directory)
    shape = models["ours, float32"].call("example_shape")
    examples = np.random.default_rng(0).uniform(
        size=(FLAGS.num_examples, *shape)
    )
    for model in models.values():
        model.call("set_examples", examples.astype(np.float32))
    measures = {
        name: lambda model=model: model.seconds("score_all")
        for name, model in models.items()
    }
    for name, model in models.items():
        if "ours" in name:
            measures[f"{name}, SavedModel"] = lambda model=model: model.seconds(
                "score_all_exported"
            )
    values = turns(measures)
    show_seconds(values, PLAIN)
    show_best_peers(values)
    return {"measurements": values}


def likelihood():
    """Time ten steps and 1,000 scores of Glow and of PixelCNN++, on MNIST."""
    all_values = {}
    for method in ("glow", "pixelcnn"):
        ours = Contender(OurLikelihood, method, FLAGS.gin_bindings)
        models = {"ours": ours}
        images = ours.call("images")
        if FLAGS.versus:
            twin = Contender(
                LikelihoodTwinContender, method, ours.call("twin"), images
            )
            np.testing.assert_allclose(
                twin.call("bits", images),
                ours.call("bits", images),
                rtol=1e-4,
                err_msg="the twin is not the same model",
            )
            models[PLAIN] = twin
        many = np.resize(images, (_NUM_SCORES, *images.shape[1:]))
        for task, arguments in [("step", (10,)), ("score", (many,))]:
            print(f"{method}, {task}")
            values = turns(
                {
                    name: lambda model=model, task=task, arguments=arguments: (
                        model.seconds(task, *arguments)
                    )
                    for name, model in models.items()
                }
            )
            show_seconds(values, PLAIN)
            all_values[f"{method}, {task}"] = values
        for model in models.values():
            model.close()
    return {"measurements": all_values}


# What the sub-command scaling varies: sizes, and the binding that sets one.
SCALES = {
    "visible chain's steps": (
        (10, 20, 30, 40, 50),
        "visible/LangevinChain.num_steps = {}",
    ),
    "batch size": (
        (64, 96, 128, 192, 256),
        "training/Phase.batch_size = {}",
    ),
}


def scaling():
    """Measure time and memory over chain length, batch size and iterations."""
    results = {
        name: time_sizes(name, *SCALES[name])
        for name in SCALES
        if name in FLAGS.over
    }
    if "iterations" in FLAGS.over:
        results["iterations"] = memory_over_iterations()
    return results


def _fastest_precision() -> str:
    return "mixed_bfloat16" if native_bfloat16() else "float32"


def time_sizes(name: str, sizes: Sequence[int], setting: str) -> dict:
    """Time a training iteration at several sizes, and fit a line.

    Args:
        name: name of the varied setting.
        sizes: sizes to try.
        setting: gin binding with a place for the size.
    """
    models = {
        size: Contender(
            Ours,
            FLAGS.gin_file,
            [*FLAGS.gin_bindings, setting.format(size)],
            _fastest_precision(),
        )
        for size in sizes
    }
    values = turns(
        {
            size: lambda model=model: model.seconds("step")
            for size, model in models.items()
        }
    )
    medians = [statistics.median(values[size]) for size in sizes]
    slope, intercept = np.polyfit(sizes, medians, 1)
    correlation = np.corrcoef(sizes, medians)[0, 1]
    print(
        f"{name}: {intercept:.3f} s + {slope:.4f} s each; "
        f"R^2 {correlation**2:.4f}"
    )
    memory = {}
    for size, median in zip(sizes, medians, strict=True):
        memory[size] = models[size].call("memory")["peak"]
        print(f"  {size:4}: {median:.2f} s, peak memory {memory[size]:.0f} MiB")
        models[size].close()
    return {"measurements": values, "memory": memory}


def memory_over_iterations() -> dict:
    """Measure resident memory ten times in the course of a training."""
    model = Contender(
        Ours, FLAGS.gin_file, FLAGS.gin_bindings, _fastest_precision()
    )
    tenth = max(FLAGS.iterations // 10, 1)
    resident = []
    for _ in range(10):
        model.call("step", tenth)
        resident.append(model.call("memory")["now"])
    print(
        f"{10 * tenth} iterations: resident memory "
        + ", ".join(f"{value:.0f}" for value in resident)
        + " MiB"
    )
    return {"resident": resident}


def data():
    """Measure examples per second of loader, pre-training and training."""
    pipeline = Contender(InputPipeline, FLAGS.gin_file, FLAGS.gin_bindings)
    names = pipeline.call("consumers")
    values = turns(
        {name: lambda name=name: pipeline.call("rate", name) for name in names}
    )
    loader = statistics.median(values["loader"])
    print(f"{'examples per second':20}  {'median':>10}  {'range':>19}  loader")
    for name, rates in values.items():
        median = statistics.median(rates)
        span = f"{min(rates):.0f} to {max(rates):.0f}"
        print(f"{name:20}  {median:10.0f}  {span:>19}  {loader / median:.0f}x")
    return {"measurements": values}


def called_in_turns(method: str) -> dict[str, list]:
    """Call a method of our model in every precision, in turns."""
    return turns(
        {
            name: lambda model=model: model.call(method)
            for name, model in our_models().items()
        }
    )


def peak():
    """Measure FLOP/s of a large matrix product in every precision."""
    values = called_in_turns("matmul_rate")
    for name, rates in values.items():
        print(
            f"{name}: {statistics.median(rates) / 1e9:.0f} GFLOP/s "
            f"({min(rates) / 1e9:.0f} to {max(rates) / 1e9:.0f})"
        )
    return {"measurements": values}


def profile():
    """Profile a training iteration by operation."""
    values = called_in_turns("operations")
    for name, profiles in values.items():
        print(f"{name}: share of the threads' time, of the median turn")
        seconds = {
            kind: statistics.median(found.get(kind, 0.0) for found in profiles)
            for kind in profiles[0]
        }
        total = sum(seconds.values())
        for kind, value in list(seconds.items())[:12]:
            print(f"  {kind:34} {value / total:6.1%} {value:8.3f} s")
    return {"measurements": values}


COMMANDS = {
    command.__name__: command
    for command in (step, inference, likelihood, scaling, data, peak, profile)
}


def main(argv):
    """Run the sub-command that the command line names."""
    if len(argv) != 2 or argv[1] not in COMMANDS:
        raise app.UsageError(f"expected a sub-command: {', '.join(COMMANDS)}.")
    result = COMMANDS[argv[1]]()
    if FLAGS.json:
        # Here, because the twins' processes import this file, and PyTorch may
        # crash in one that has TensorFlow.
        from reproduction.cells import commit, machine

        result |= {"commit": commit(), "machine": machine()}
        with open(FLAGS.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=2)


if __name__ == "__main__":
    app.run(main)
