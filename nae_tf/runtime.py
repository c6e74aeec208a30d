"""What the command lines share: flags, one-line errors, the run directory."""

import io
import os
import pathlib
import re
import signal
import sys
import traceback
from collections.abc import Callable

from absl import app, flags, logging

from nae_tf.configuration import is_of_configuration, one_line, parse_config
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
    _show_in_help("run_dir", "trust_config")


def _show_in_help(*names: str):
    """Have --help list flags that this module defines for a command."""
    for name in names:
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[name])


def run_command(main: Callable[[], None]):
    """Run an entry point; expected errors end in one line and exit status 1.

    Every command has --quiet and --nocolor. The full traceback is shown with
    --verbosity=1. Ctrl-C, where the command does not handle it by itself, ends
    in one line, too, and a reader that closes the pipe in none; the exit status
    is then 128 and the number of the signal, as a shell has it.

    Args:
        main: takes nothing, reads the flags.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Closed by whoever started the command, as a daemon's may be.
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    define_progress_flags()
    _show_in_help("quiet", "color")

    def guarded(argv):
        use_progress_flags()
        if not flags.FLAGS["verbosity"].present:
            # TensorFlow reports its housekeeping at INFO level.
            logging.set_verbosity(logging.WARNING)
        try:
            if argv[1:]:
                raise ValueError(
                    f"unexpected argument {argv[1]!r}: give one value after "
                    "each flag, and repeat the flag for more."
                )
            main()
            sys.stdout.flush()
        except BrokenPipeError:
            # Python would flush once more at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(128 + signal.SIGPIPE)
        except KeyboardInterrupt:
            logging.debug("%s", traceback.format_exc())
            print(error_line("interrupted."), file=sys.stderr)
            sys.exit(128 + signal.SIGINT)
        except (ValueError, OSError, ImportError) as error:
            _end(error)
        except (TypeError, AttributeError, RuntimeError) as error:
            # A value of the wrong type in the configuration; elsewhere it is
            # an error of ours, whose traceback is wanted.
            if not is_of_configuration(error):
                raise
            _end(error)

    app.run(guarded)


def _end(error: Exception):
    logging.debug("%s", traceback.format_exc())
    sys.exit(error_line(one_line(error)))


# --- Run directory ------------------------------------------------------------


class RunDirectory:
    """Paths of a run, and writing that never leaves half a file.

    config.gin  checkpoints/<phase>/  snapshots/<phase>/  tensorboard/
    metrics.csv  results.json  report.html  figures/  samples/
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
            ValueError: a link leads out of the directory.
        """
        if all(path.name.startswith(".") for path in self.path.iterdir()):
            return False
        self._refuse_links()
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

    def _refuse_links(self):
        """Refuse somebody else's links, by which we would write elsewhere."""
        here = self.path.resolve()
        for path in self.path.rglob("*"):
            if path.is_symlink() and not path.resolve().is_relative_to(here):
                raise ValueError(
                    f"{str(path)!r} is a link that leads out of the run "
                    "directory; put what it leads to in its place."
                )

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
                code, and include other files, and let links lead elsewhere.

        Raises:
            FileNotFoundError: it is no run directory.
            ValueError: the configuration imports or includes something, or a
                link leads out of the directory.
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
        if not trusted:
            self._refuse_links()
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
