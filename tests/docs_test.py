"""README and docs: complete, no longer than they should be, no dead links."""

import ast
import importlib
import pathlib
import re

import pytest
from layout_test import ROOMS

from nae_tf.runs.console_script import COMMANDS

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PROJECT = "https://github.com/nae-tf/nae_tf"
FACES = (
    "nae_tf",
    "nae_tf.baselines",
    "nae_tf.data",
    "nae_tf.evaluation",
    "nae_tf.metrics",
    "nae_tf.networks",
    "nae_tf.serving",
    "nae_tf.tables",
    "nae_tf.training",
)
# Importable where a package of an extra is.
FACES_OF_EXTRAS = {"nae_tf.serving.beam": "apache_beam"}
# What Sphinx makes of the scripts in docs/gallery.
GENERATED = DOCS / "examples"
PAGES = [ROOT / "README.md"] + [
    path for path in sorted(DOCS.rglob("*.md")) if GENERATED not in path.parents
]


def page_id(path):
    return str(path.relative_to(ROOT))


def public_names():
    """Qualified names of what the faces hand out, but for rooms."""
    for face in FACES:
        module = importlib.import_module(face)
        for name in module.__all__:
            if f"{face}.{name}" not in FACES:
                yield f"{face}.{name}"


def described_names():
    """Qualified names of the entries that the reference generates."""
    for path in sorted((DOCS / "reference").glob("*.md")):
        module = ""
        for line in path.read_text().splitlines():
            directive, _, name = line.removeprefix(".. ").partition(":: ")
            if directive == "currentmodule":
                module = name
            elif directive in ("autoclass", "autofunction"):
                yield name if "." in name else f"{module}.{name}"


def test_the_reference_describes_every_public_name():
    described = list(described_names())
    assert len(described) == len(set(described))
    # Serving hands out four names that are names of nae_tf, too.
    same = {
        name
        for name in public_names()
        if name.startswith("nae_tf.serving.")
        and name.replace(".serving.", ".") in described
    }
    assert set(described) == set(public_names()) - same


# --- Commands ---------------------------------------------------------------


# Files of commands that stand in a room.
COMMANDS_IN_ROOMS = {
    "beam": "serving/beam_command.py",
    "distil": "evaluation/distil_command.py",
    "recalibrate": "serving/recalibrate_command.py",
    "monitor": "evaluation/monitor_command.py",
    "serve": "serving/serve_command.py",
}


def defined_flags(file):
    """Names of the flags that a file of the package defines, with defaults."""
    for node in ast.walk(ast.parse((ROOT / "nae_tf" / file).read_text())):
        function = getattr(node, "func", None)
        if getattr(function, "attr", "").startswith("DEFINE_"):
            name, default = node.args[:2]
            yield name.value, getattr(default, "value", ...)


def listed_flags(command):
    """Flags in the table of a command, with defaults as they stand there."""
    text = (DOCS / "reference" / "commands.md").read_text()
    section = text.partition(f"\n## {command}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `--(\w+)` \| (.*?) \|", section, flags=re.M))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_of_commands_lists_all_flags(command):
    file = COMMANDS_IN_ROOMS.get(command, f"{command}.py")
    defined = dict(defined_flags(file))
    if command in (
        "evaluate",
        "sample",
        "export",
        "distil",
    ):  # They read a run.
        defined |= defined_flags("runs/command_line.py")
    # They read examples.
    if command in ("score", "beam", "recalibrate", "monitor"):
        defined |= defined_flags("serving/input_flags.py")
    if command == "serve":
        defined |= {"model": None, "trust_model": False}
    listed = listed_flags(command)
    assert set(listed) == set(defined)
    for name, default in defined.items():
        if isinstance(default, str | bool | int | float):
            assert listed[name].strip("`") == str(default).lower()


def test_the_page_of_commands_lists_the_flags_of_all():
    shared = set(listed_flags("All commands"))
    assert shared == {"quiet", "color", "verbosity"}
    assert shared - {"verbosity"} == set(
        dict(defined_flags("runs/progress.py"))
    )


# --- Links ------------------------------------------------------------------


def prose(text):
    """Text without code."""
    text = re.sub(r"^(`{3,}).*?^\1`*$", "", text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "code", text)


def slugs(path):
    """Anchors of a page's headings, as MyST and GitHub make them."""
    text = re.sub(r"^(`{3,}).*?^\1`*$", "", path.read_text(), flags=re.M | re.S)
    for heading in re.findall(r"^#+ (.*)$", text, flags=re.M):
        words = re.sub(r"[^\w\- ]", "", heading.strip().lower())
        yield words.replace(" ", "-")


def link_fault(page, link, names):
    """Say what is wrong with a link of a page, or None."""
    for prefix in (f"{PROJECT}/blob/main/", f"{PROJECT}/tree/main/"):
        if link.startswith(prefix):
            target = ROOT / link.removeprefix(prefix)
            return None if target.exists() else "no such file"
    picture = re.match(
        r"https://raw\.githubusercontent\.com/nae-tf/nae_tf/main/(.*)", link
    )
    if picture:
        return None if (ROOT / picture[1]).exists() else "no such picture"
    if re.match(r"[a-z]+:", link):
        return None
    path, _, anchor = link.partition("#")
    target = (page.parent / path) if path else page
    if not target.exists():
        return "no such file"
    if not anchor:
        return None
    known = anchor in slugs(target) or (not path and is_public(anchor, names))
    return None if known else "no such heading or name"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_files_of_the_repository_are_where_the_page_says(page):
    text = re.sub(r"https?://\S+", "", page.read_text())
    paths = re.findall(r"\b((?:gin|nae_tf|tests|tools)/[\w/]+\.\w+)", text)
    presets = set(re.findall(r"(?<![\w/.<>*])((?:\w+/)*\w+\.gin)\b", text))
    presets -= {"config.gin"}  # Of a run.
    missing = [path for path in paths if not (ROOT / path).exists()]
    missing += [name for name in presets if not is_preset(name)]
    assert not missing


def is_preset(name):
    """Whether it is the name of a file in a folder of gin/."""
    return any((ROOT / "gin").rglob(name.removeprefix("gin/")))


def is_public(name, names):
    """Whether it is a public name, or a method of a public class."""
    owner = name.rpartition(".")[0]
    return name in names or owner in names


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page):
    names = set(public_names())
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text()))
    faults = {link: link_fault(page, link, names) for link in links}
    assert not {link: fault for link, fault in faults.items() if fault}


def test_the_index_for_language_models_names_pages():
    text = (DOCS / "llms.txt").read_text()
    assert text.startswith("# nae_tf\n\n> ")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        page = link.removeprefix("_sources/")
        source = (DOCS / page).with_suffix(".md")
        assert source.exists(), link


def test_the_architecture_shows_the_table_of_rooms():
    text = (DOCS / "architecture.md").read_text()
    table = text.partition("| may import |")[2].partition("\n\n")[0]
    shown = {}
    for row in table.splitlines()[2:]:
        room, _, allowed = row.replace("`", "").strip("| ").split(" | ")
        shown[room] = set(allowed.split(", ")) - {"nothing"}
    assert shown == ROOMS


# --- README -----------------------------------------------------------------


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_links_of_the_readme_work_on_a_package_index():
    text = (ROOT / "README.md").read_text()
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        assert link.startswith("https://"), link


# --- Code -------------------------------------------------------------------


def snippets():
    """Pieces of Python in the pages."""
    for path in PAGES:
        blocks = re.findall(
            r"^```python\n(.*?)^```$", path.read_text(), flags=re.M | re.S
        )
        for number, block in enumerate(blocks):
            yield pytest.param(block, id=f"{page_id(path)}-{number}")


@pytest.mark.parametrize("snippet", snippets())
def test_snippets_import_public_names(snippet):
    tree = ast.parse(snippet)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "nae_tf":
                    assert alias.name in FACES
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.partition(".")[0] == "nae_tf":
                if node.module in FACES_OF_EXTRAS:
                    pytest.importorskip(FACES_OF_EXTRAS[node.module])
                else:
                    assert node.module in FACES
                face = importlib.import_module(node.module)
                assert {alias.name for alias in node.names} <= set(face.__all__)
        elif isinstance(node, ast.Attribute) and is_name(node.value, "nae_tf"):
            assert node.attr in importlib.import_module("nae_tf").__all__


def is_name(node, name):
    return isinstance(node, ast.Name) and node.id == name
