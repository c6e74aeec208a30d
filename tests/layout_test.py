"""The package's shape: who may import whom, and what must not be there."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODULES = sorted(path.stem for path in (ROOT / "nae_tf").glob("*.py"))

# In reading order: a module imports only from layers above its own, or from
# modules of its own layer.
LAYERS = [
    {"serializable", "randomness", "calibration"},
    {"energy", "latent_space", "langevin", "replay_buffer", "losses"},
    {"layers", "network_builder", "networks", "color_networks", "metrics"},
    {"langevin_chain"},
    {"on_manifold", "detector"},
    {"autoencoder"},
    {"nae"},
    {"estimator"},
    {"__init__"},
    {"data"},
    {"examples"},
    {"synthetic", "densities", "image_sets"},
    {"encoded_images", "warmup"},
    {"serving"},
    {"array_files", "image_files"},
    {"digits", "datasets", "user_data"},
    {"exported_model", "example_stream", "score_files"},
    {"checkpoints", "callbacks", "tensorboard", "experiment", "runtime"},
    {"evaluate", "figures", "export", "score"},
    {"train"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "nae_tf":
            yield from (
                alias.name for alias in node.names if alias.name in RANK
            )
        elif isinstance(node, ast.ImportFrom) and node.module:
            package, _, module = node.module.partition(".")
            if package == "nae_tf":
                yield module


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module):
    assert module in RANK, f"give {module} a place in the reading order"
    for imported in imported_modules(ROOT / "nae_tf" / f"{module}.py"):
        assert RANK[imported] <= RANK[module], f"{module} imports {imported}"


def test_the_mathematics_does_not_depend_on_gin_or_flags():
    for module in ("energy", "langevin", "losses", "metrics", "randomness"):
        text = (ROOT / "nae_tf" / f"{module}.py").read_text()
        assert "import gin" not in text and "absl" not in text


def test_the_gin_folder_does_not_shadow_the_gin_package():
    assert not (ROOT / "gin" / "__init__.py").exists()
