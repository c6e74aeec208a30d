"""The examples in docstrings run and print what they say; none is missing."""

import doctest
import importlib
import inspect
import pathlib
import types

import pytest

import nae_tf
import nae_tf.evaluation
import nae_tf.training

PACKAGE = pathlib.Path(nae_tf.__file__).parent
MODULES = sorted(
    ".".join(["nae_tf", *path.relative_to(PACKAGE).with_suffix("").parts])
    for path in PACKAGE.rglob("*.py")
)
FACES = [
    nae_tf,
    nae_tf.baselines,
    nae_tf.data,
    nae_tf.evaluation,
    nae_tf.metrics,
    nae_tf.networks,
    nae_tf.serving,
    nae_tf.training,
]
PUBLIC = {
    f"{face.__name__}.{name}": getattr(face, name)
    for face in FACES
    for name in face.__all__
    if not isinstance(getattr(face, name), types.ModuleType)
}
# Their classes are made of Beam's.
NEED_BEAM = {"nae_tf.serving.beam", "nae_tf.serving.beam_handler"}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def example_of(thing) -> str:
    """The code in a docstring."""
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(thing) or "")
    return "".join(example.source for example in examples)


@pytest.mark.parametrize("module", MODULES)
def test_examples_print_what_they_say(module, tmp_path, monkeypatch):
    if module in NEED_BEAM:
        pytest.importorskip("apache_beam")
    monkeypatch.chdir(tmp_path)  # Some examples write files.
    # Without the module's own names: an example has to import what it uses.
    failures, _ = doctest.testmod(
        importlib.import_module(module.removesuffix(".__init__")),
        globs={"__name__": "__main__"},
        optionflags=OPTIONS,
    )
    assert failures == 0


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example(name):
    # Networks come in pairs, and so do their examples.
    encoder = name.replace("Decoder", "Encoder")
    example = example_of(PUBLIC[encoder])
    assert example
    assert encoder == name or name.rpartition(".")[2] in example
