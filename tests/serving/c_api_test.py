"""An export in a C program: TensorFlow Serving's loader, and no Python."""

import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from nae_tf.serving.saved_model import ExportedModel

SOURCE = pathlib.Path(__file__).with_name("load_export.c")


class Program:
    """The program with an export loaded, asked by lines."""

    def __init__(self, path, export, folder):
        self.folder = folder
        self.process = subprocess.Popen(
            [str(path), str(export)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={"TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def ask(self, signature, **inputs):
        """The lines of an answer."""
        line = [signature]
        for name, value in inputs.items():
            strings = value.dtype == object
            contents = value if strings else [value.tobytes()]
            files = []
            for number, content in enumerate(contents):
                files.append(self.folder / f"{name}{number}")
                files[-1].write_bytes(content)
            shape = ",".join(map(str, value.shape))
            line.append(f"{name}={shape}:{','.join(map(str, files))}")
        print(*line, file=self.process.stdin, flush=True)
        return list(iter(self.process.stdout.readline, "\n"))

    def arrays(self, signature, **inputs):
        """The outputs of a signature by name."""
        outputs = {}
        for line in self.ask(signature, **inputs):
            assert not line.startswith("error:"), line
            head, values = line.split(":")
            name, shape = head.split(" ")
            sizes = [int(size) for size in shape.split(",") if size]
            outputs[name] = np.array(values.split(), float).reshape(sizes)
        return outputs


@pytest.fixture(scope="session")
def program(exported_images, tmp_path_factory):
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    folder = tmp_path_factory.mktemp("c")
    package = pathlib.Path(tf.__file__).parent
    path = folder / "load_export"
    # The libraries are of 1 GB: a linker takes seconds, ld.gold fewer.
    linker = ["-fuse-ld=gold"] if shutil.which("ld.gold") else []
    subprocess.run(
        [
            *("gcc", "-Wall", "-Werror", str(SOURCE), "-o", str(path)),
            *(f"-I{package / 'include'}", f"-L{package}", *linker),
            "-l:libtensorflow_cc.so.2",
            "-l:libtensorflow_framework.so.2",
            f"-Wl,-rpath,{package}",
        ],
        check=True,
    )
    program = Program(path, exported_images.path, folder)
    yield program
    program.process.stdin.close()
    assert program.process.wait(timeout=60) == 0


@pytest.fixture(scope="session")
def loaded(exported_images):
    return ExportedModel(exported_images.path)


def files_of(images):
    """PNG files, the last one cut off."""
    files = [
        tf.io.encode_png(np.round(image * 255).astype(np.uint8)).numpy()
        for image in images
    ]
    return np.array([*files[:-1], files[-1][:40]], object)


def request_of(signature, images):
    """Inputs of a signature, a bad example among them."""
    joined = images[:4].copy()
    joined[2, 3, 4] = np.nan
    rates = np.array([0.9, 0.5, 0.1, 1.5], np.float32)
    inputs = {
        "score_at": {"examples": joined, "false_alarm_rate": rates},
        "sample": {"count": np.int32(3), "seed": np.int32(5)},
        "score_encoded_image": {"image_bytes": files_of(images[:3])},
    }
    return inputs.get(signature, {"examples": joined})


def test_every_signature_answers_as_in_python(program, loaded, exported_images):
    signatures = loaded.loaded.signatures
    assert len(signatures) == 7
    for name, signature in signatures.items():
        inputs = request_of(name, exported_images.images)
        expected = signature(**{k: tf.constant(v) for k, v in inputs.items()})
        answered = program.arrays(name, **inputs)
        assert set(answered) == set(expected), name
        for output, value in expected.items():
            np.testing.assert_allclose(
                answered[output], value, rtol=1e-6, atol=1e-6, err_msg=name
            )


def test_scores_are_those_of_the_model(program, exported_images):
    images = exported_images.images[:7]
    answered = program.arrays("score", examples=images)
    np.testing.assert_allclose(
        answered["energy"],
        exported_images.model.predict_outlier_score(images),
        atol=1e-6,
    )
    np.testing.assert_allclose(
        answered["p_value"],
        exported_images.calibration.p_values(answered["energy"]),
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    ("signature", "inputs", "reason"),
    [
        ("scores", {}, "no signature scores"),
        ("score", {"image": np.zeros((1, 12, 12, 1))}, "no input image"),
        (
            "score",
            {"examples": np.zeros((1, 5, 12, 1), np.float32)},
            "Bad input: expected examples of shape [batch, 12, 12, 1]",
        ),
        (
            "sample",
            {"count": np.int32(300), "seed": np.int32(1)},
            "Bad input: expected a count in 1 ... 256",
        ),
    ],
)
def test_a_bad_request_gets_its_reason_and_ends_nothing(
    program, exported_images, signature, inputs, reason
):
    answered = "".join(program.ask(signature, **inputs))
    assert answered.startswith("error: ") and reason in answered
    images = exported_images.images[:1]
    assert program.arrays("score", examples=images)["status"] == [0]
