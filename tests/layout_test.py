"""The package's shape: who may import whom, and what must not be there."""

import ast
import pathlib
import tomllib

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "nae_tf"


def module_name(path):
    """Dotted name below nae_tf; that of a sub-package is its folder's."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if len(parts) > 1 and parts[-1] == "__init__":
        parts = parts[:-1]
    return ".".join(parts)


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
BASELINES = {name for name in FILES if name.startswith("baselines.")}

# In reading order: a module imports only from layers above its own, or from
# modules of its own layer.
LAYERS = [
    {
        "serializable",
        "randomness",
        "input_checks",
        "setting_checks",
        "calibration",
        "progress",
        "io_errors",
        "image_resizing",
        "tables",
    },
    {"energy", "replicas"},
    {"latent_space", "langevin", "replay_buffer", "losses"},
    {"gaussian_mixture"},
    {"fast_layers", "layers", "metrics", "mixed_precision"},
    {"network_builder", "networks", "color_networks"},
    {"bootstrap", "sample_quality", "image_grid", "density_grid"},
    {"charts"},
    {"langevin_chain", "training_step"},
    {"on_manifold", "detector"},
    {"autoencoder"},
    {"nae"},
    BASELINES,
    {"baselines"},
    {"estimator"},
    {"__init__"},
    {"data"},
    {"examples"},
    {"prepared_files", "densities"},
    {"synthetic", "image_sets"},
    {"encoded_images", "warmup"},
    {"serving"},
    {"array_checks", "array_files", "image_files"},
    {"digits", "datasets", "user_data"},
    {"exported_model", "example_stream"},
    {"run_lock", "distribution", "configuration"},
    {"checkpoints", "runtime"},
    {"score_files"},
    {
        "callbacks",
        "buffer_figures",
        "records",
        "resume",
        "running_means",
        "snapshots",
        "tensorboard",
    },
    {"guard"},
    {"experiment"},
    {
        "features",
        "sample_figures",
        "density_figures",
        "plane_figures",
        "evaluation",
    },
    {"galleries"},
    {"report"},
    {"evaluate", "figures", "export", "score", "sample"},
    {"phase_training"},
    {"train"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}


def imported_modules(path):
    """Modules of nae_tf that a file imports, by their dotted names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            package, _, module = node.module.partition(".")
            if package == "nae_tf":
                names = [
                    f"{module}.{alias.name}".lstrip(".") for alias in node.names
                ]
                modules = [name for name in names if name in RANK]
                yield from modules or [module or "__init__"]


@pytest.mark.parametrize("module", FILES)
def test_imports_run_one_way(module):
    assert module in RANK, f"give {module} a place in the reading order"
    for imported in imported_modules(FILES[module]):
        assert RANK[imported] <= RANK[module], f"{module} imports {imported}"


@pytest.mark.parametrize("module", sorted(BASELINES))
def test_baselines_do_not_know_each_other(module):
    imported = set(imported_modules(FILES[module]))
    assert not imported & (BASELINES | {"baselines"})


def test_every_sub_package_is_installed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = {path.parent for path in FILES.values()}
    assert set(settings["tool"]["setuptools"]["packages"]) == {
        ".".join(folder.relative_to(ROOT).parts) for folder in folders
    }


def test_the_mathematics_does_not_depend_on_gin_or_flags():
    for module in (
        "bootstrap",
        "energy",
        "langevin",
        "losses",
        "metrics",
        "randomness",
    ):
        text = FILES[module].read_text()
        assert "import gin" not in text and "absl" not in text


def test_the_gin_folder_does_not_shadow_the_gin_package():
    assert not (ROOT / "gin" / "__init__.py").exists()
