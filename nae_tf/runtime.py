"""What the command lines share: flags, gin configuration, the run directory."""

import contextlib
import difflib
import inspect
import io
import logging as python_logging
import os
import pathlib
import re
import sys
import traceback
from collections.abc import Callable, Sequence

import gin
from absl import app, flags, logging

from nae_tf.io_errors import flush_to_disk, one_line_io_errors
from nae_tf.progress import (
    define_progress_flags,
    error_line,
    use_progress_flags,
)


def define_run_dir_flags(help_text: str):
    """Define --run_dir, the run that a command reads, and --trust_config."""
    flags.DEFINE_string("run_dir", None, help_text, required=True)
    flags.DEFINE_bool(
        "trust_config",
        False,
        "Let the run's config.gin import modules, which runs their code.",
    )


def run_command(main: Callable[[], None]):
    """Run an entry point; expected errors end in one line and exit status 1.

    Every command has --quiet and --nocolor. The full traceback is shown with
    --verbosity=1.

    Args:
        main: takes nothing, reads the flags.
    """
    define_progress_flags()

    def guarded(unused_argv):
        use_progress_flags()
        if not flags.FLAGS["verbosity"].present:
            # TensorFlow reports its housekeeping at INFO level.
            logging.set_verbosity(logging.WARNING)
        try:
            main()
        except (ValueError, OSError, ImportError) as error:
            logging.debug("%s", traceback.format_exc())
            sys.exit(error_line(one_line(error)))

    app.run(guarded)


def one_line(error: Exception) -> str:
    """Return what an error says, without what gin appends to it."""
    # It tells which configurable it was calling.
    report = str(error).split("\n  In call to configurable")[0]
    lines = [line.strip() for line in report.splitlines()]
    return " ".join(filter(None, lines))


# --- Configuration ------------------------------------------------------------


def parse_config(files: Sequence[str], bindings: Sequence[str] = ()):
    """Parse gin files and bindings strictly; later ones win.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: an unknown name, with the nearest known one, or a syntax
            error.
    """
    for file in files:
        if not os.path.exists(file):
            raise FileNotFoundError(f"there is no gin file {file!r}.")
    gin.clear_config()
    try:
        with _includes_beside(files):
            gin.parse_config_files_and_bindings(list(files), list(bindings))
    except (ValueError, SyntaxError, AttributeError) as error:
        raise ValueError(_explain(error)) from error


@contextlib.contextmanager
def _includes_beside(files):
    """Let `include 'base.gin'` mean the file beside the one that includes it.

    gin reports every folder without the file as an error; not within this.
    """

    def is_news(record):
        return not str(record.msg).startswith("Path not found")

    # gin can only append to its search path, and never takes anything back.
    search_path = gin.config._LOCATION_PREFIXES
    before = list(search_path)
    folders = [os.path.dirname(os.path.abspath(file)) for file in files]
    root = python_logging.getLogger()
    root.addFilter(is_news)
    try:
        search_path[:0] = reversed(folders)
        yield
    finally:
        search_path[:] = before
        root.removeFilter(is_news)


def _explain(error: Exception) -> str:
    """Reduce gin's report to one line, with the nearest known name."""
    if isinstance(error, SyntaxError) and error.text:
        place = "a binding"
        if error.filename:
            place = f"{error.filename!r}, line {error.lineno}"
        reason = error.msg.splitlines()[-1].strip(" .")
        return (
            f"gin cannot read {error.text.strip()!r} in {place}: {reason}. "
            "Write name = value, and strings in quotes."
        )
    text = " ".join(str(error).split())
    # gin keeps no public list of what is registered.
    registry = gin.config._REGISTRY
    known = {
        selector.split(".")[-1]: item for selector, item in registry.items()
    }
    if match := re.search(
        r"No configurable matching (?:reference )?'@?([^'(]*)[()]*'", text
    ):
        wrong, names = match[1].split(".")[-1], list(known)
    elif match := re.search(
        r"Configurable '([^']*)' doesn't have a parameter named '([^']*)'", text
    ):
        owner, wrong = known[match[1].split(".")[-1]], match[2]
        names = list(inspect.signature(owner.wrapped).parameters)
    else:
        return text
    nearest = difflib.get_close_matches(wrong, names, 1, cutoff=0.0)
    return f"{text} Did you mean {nearest[0]!r}?" if nearest else text


# --- Run directory ------------------------------------------------------------


class RunDirectory:
    """Paths of a run, and writing that never leaves half a file.

    config.gin  checkpoints/<phase>/  tensorboard/  metrics.csv  results.json
    report.html  figures/  samples/
    """

    def __init__(self, path):
        """Name a directory; nothing is created yet."""
        self.path = pathlib.Path(path)
        self.config = self.path / "config.gin"
        self.metrics = self.path / "metrics.csv"
        self.results = self.path / "results.json"
        self.report = self.path / "report.html"
        self.figures = self.path / "figures"
        self.samples = self.path / "samples"
        self.tensorboard = self.path / "tensorboard"

    def checkpoints(self, phase: str) -> pathlib.Path:
        """Return the directory of a phase's checkpoints."""
        return self.path / "checkpoints" / phase

    def snapshots(self, phase: str) -> pathlib.Path:
        """Return the directory of a phase's snapshots, if it keeps any."""
        return self.path / "snapshots" / phase

    def begin(self, resume: bool) -> bool:
        """Look at what the directory, which exists, holds of a run.

        Args:
            resume: whether the user asked to continue what is there.

        Returns:
            Whether there is a run to continue. There is none in a directory
            that holds nothing but what starts with a dot.

        Raises:
            FileExistsError: there is something, but not to be continued.
        """
        if all(path.name.startswith(".") for path in self.path.iterdir()):
            return False
        path = str(self.path)
        if not self.config.exists():
            raise FileExistsError(
                f"the directory {path!r} holds files but no run; choose a "
                "different --run_dir."
            )
        if not resume and self.results.exists():
            raise FileExistsError(
                f"the run directory {path!r} already holds another run; choose "
                "a different --run_dir or remove it."
            )
        if not resume:
            raise FileExistsError(
                f"the run directory {path!r} holds an unfinished run; continue "
                "it with --resume, or choose a different --run_dir."
            )
        return True

    def check_config(self, text: str):
        """Compare a configuration with that of the run to be continued.

        Args:
            text: as gin writes it.

        Raises:
            ValueError: they differ; names the first binding that does.
        """
        saved = _bindings(self.config.read_text(encoding="utf-8"))
        given = _bindings(text)
        for name in [*saved, *given]:
            if saved.get(name) != given.get(name):
                raise ValueError(
                    f"{name} is {given.get(name, 'not set')}, but the run in "
                    f"{str(self.path)!r} has {saved.get(name, 'not set')}; "
                    "resume with the run's own configuration, or choose a "
                    "different --run_dir."
                )

    def load_config(self, trusted: bool = False):
        """Parse the run's configuration, which may be somebody else's.

        Args:
            trusted: let the configuration import modules, which runs their
                code, and include other files.

        Raises:
            FileNotFoundError: it is no run directory.
            ValueError: the configuration imports or includes something.
        """
        if not self.config.exists():
            raise FileNotFoundError(
                f"{str(self.path)!r} is no run directory: it has no "
                "config.gin; name the --run_dir of a finished nae_tf.train."
            )
        text = self.config.read_text(encoding="utf-8")
        foreign = re.search(
            r"^\s*(import|from|include)\b.*", text, re.MULTILINE
        )
        if foreign and not trusted:
            raise ValueError(
                f"{str(self.config)!r} has the line {foreign.group().strip()!r}"
                ", which could run code; pass --trust_config if you trust it."
            )
        parse_config([str(self.config)])


def _bindings(text):
    """Values by name of a configuration as gin writes it."""
    # A long value goes on in lines that are indented.
    joined = re.sub(r"[ \t]*\\?\n[ \t]+", " ", text)
    return dict(re.findall(r"^([^#\s]\S*) = (.*)$", joined, re.MULTILINE))


def write_atomically(path: pathlib.Path, content: str | bytes):
    """Write a file under a temporary name and rename it."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with one_line_io_errors(
        f"cannot write {str(path)!r}",
        "Make room or mend the directory, then run the command again.",
    ):
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            flush_to_disk(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_figure(path: pathlib.Path, figure):
    """Write a `matplotlib.figure.Figure` as PNG, as `write_atomically` does."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    write_atomically(path, file.getvalue())
