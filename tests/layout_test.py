"""The package's shape: which room may import which, and what is where."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "nae_tf"

# What a room may import, beside itself. "paper" is the nine files below.
ROOMS = {
    "base": set(),
    "metrics": {"base"},
    "runs": {"base"},
    "paper": {"base"},
    "networks": {"base"},
    "data": {"base"},
    "baselines": {"base", "paper"},
    "tables": {"base", "paper"},
    "estimator": {"base", "paper", "networks", "data", "tables"},
    "serving": {"base", "paper", "networks", "data", "runs"},
    "training": {
        *("base", "paper", "networks", "baselines", "data", "metrics", "runs"),
    },
    "evaluation": {
        *("base", "paper", "data", "metrics", "runs", "serving", "training"),
    },
}
# In reading order: each file imports earlier ones only.
PAPER = [
    "energy",
    "latent_space",
    "langevin",
    "langevin_chain",
    "replay_buffer",
    "samplers",
    "losses",
    "autoencoder",
    "nae",
]
COMMANDS = {"train", "evaluate", "sample", "export", "score", "prepare"}
# What nae_tf/__init__.py hands on.
FACE = {
    *("base", "paper", "estimator", "networks", "baselines", "metrics"),
    *("data", "serving", "tables"),
}
# Signals may come while it imports the faces.
BEFORE_FACES = {"runs.first_signals"}
# Files that know neither configuration nor flags.
MATHEMATICS = [
    "base/randomness.py",
    "energy.py",
    "langevin.py",
    "losses.py",
    *(f"metrics/{path.name}" for path in (PACKAGE / "metrics").glob("*.py")),
]
MATHEMATICS_OF_METHODS = {
    "baselines.gaussian_mixture",  # DAGMM
    "baselines.spectral_norm",  # IGEBM
    "baselines.frozen_manifold",  # MPDR
    "baselines.likelihood_model",  # Glow
    "baselines.causal_layers",  # PixelCNN++
    "baselines.logistic_mixture",  # PixelCNN++
    "baselines.flow_layers",  # Glow
    "baselines.flow_couplings",  # Glow
}
# A file of the wheel that no other one imports has to be a way in: a module to
# start, or the console script.
WAYS_IN = {
    *("__init__", *COMMANDS, "runs.console_script"),
    *("serving.beam_command", "serving.recalibrate_command"),
    *("serving.serve_command", "evaluation.distil_command"),
    "evaluation.monitor_command",
}

FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
TOOLS = sorted((ROOT / "tools").rglob("*.py"))


def room(module):
    """The room of a module, by its dotted name below nae_tf."""
    first = module.partition(".")[0]
    return "paper" if first in PAPER else first


def imported_modules(path):
    """Modules of nae_tf that a file imports, by dotted names below it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            package, _, module = node.module.partition(".")
            if package == "nae_tf":
                for alias in node.names:
                    name = _file(f"{module}.{alias.name}".lstrip("."))
                    yield name if name in FILES else _file(module)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                package, _, module = alias.name.partition(".")
                if package == "nae_tf":
                    yield _file(module)


def _file(module):
    """The file of a module: a room's is its face."""
    return module if module in FILES else f"{module}.__init__".lstrip(".")


def test_the_package_fits_one_screen():
    # Python's own folder, and what installing leaves, do not count.
    shown = [p for p in PACKAGE.iterdir() if not p.name.startswith("__pycache")]
    assert sum(path.is_file() for path in shown) <= 17
    assert sum(path.is_dir() for path in shown) <= 10


@pytest.mark.parametrize("module", FILES)
def test_a_file_has_a_room(module):
    assert room(module) in {*ROOMS, *COMMANDS, "__init__"}


@pytest.mark.parametrize("module", FILES)
def test_a_room_imports_what_its_row_allows(module):
    own = room(module)
    if own == "__init__":
        allowed = FACE
    elif own in COMMANDS:
        allowed = set(ROOMS) | {"estimator"}
    else:
        allowed = ROOMS[own] | {own}
    for imported in imported_modules(FILES[module]):
        if own == "__init__" and imported in BEFORE_FACES:
            continue
        assert room(imported) in allowed, f"{module} imports {imported}"


@pytest.mark.parametrize("module", PAPER)
def test_the_paper_is_read_from_top_to_bottom(module):
    earlier = PAPER[: PAPER.index(module)]
    for imported in imported_modules(FILES[module]):
        assert room(imported) != "paper" or imported in earlier, imported


@pytest.mark.parametrize(
    "module", [name for name in FILES if name.startswith("baselines.")]
)
def test_a_method_file_imports_no_other_method(module):
    imported = set(imported_modules(FILES[module])) - MATHEMATICS_OF_METHODS
    if module != "baselines.__init__":
        assert "baselines" not in {room(name) for name in imported}


def private_names_used(path):
    """Private attributes that a file takes from what it does not define."""
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree))
    own = {
        node.name
        for node in nodes
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    } | {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in nodes
        if isinstance(node, (ast.Attribute, ast.Name))
        and isinstance(node.ctx, ast.Store)
    }
    for node in nodes:
        if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr):
            owner = ast.unparse(node.value)
            # What a class inherits here is another test's: private_test.
            if node.attr not in own and owner not in {"self", "cls", "os"}:
                yield f"{owner}.{node.attr}"


@pytest.mark.parametrize(
    "path",
    [path for path in [*FILES.values(), *TOOLS] if path.name != "private.py"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_private_parts_of_others_are_in_one_file(path):
    assert not list(private_names_used(path))


@pytest.mark.parametrize("file", MATHEMATICS)
def test_the_mathematics_knows_neither_gin_nor_flags(file):
    text = (PACKAGE / file).read_text()
    assert "import gin" not in text and "absl" not in text


def test_metrics_need_no_tensorflow():
    for path in (PACKAGE / "metrics").glob("*.py"):
        text = path.read_text()
        assert "tensorflow" not in text and "keras" not in text


@pytest.mark.parametrize(
    "path", TOOLS, ids=lambda path: str(path.relative_to(ROOT))
)
def test_tools_import_rooms_and_training(path):
    commands = {room(name) for name in imported_modules(path)} & COMMANDS
    assert commands <= {"train"}


def test_no_file_of_the_wheel_is_for_tools_alone():
    used = {
        imported
        for module, path in FILES.items()
        for imported in imported_modules(path)
        if imported != module
    }
    faces = {name for name in FILES if name.endswith("__init__")}
    assert not set(FILES) - used - WAYS_IN - faces


def test_tests_stand_in_the_rooms_of_what_they_test():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    for path in (ROOT / "tests").glob("*/*_test.py"):
        assert path.parent.name in {*folders, "hostile", "paper", "tools"}, path


def test_the_gin_folder_does_not_shadow_the_gin_package():
    assert not (ROOT / "gin" / "__init__.py").exists()
