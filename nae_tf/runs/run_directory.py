"""The directory of a run: its paths, its lock, its records."""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterable, Iterator

from nae_tf.base.untrusted import leads_out
from nae_tf.runs.configuration import default_text, parse_config
from nae_tf.runs.disk import explain_file_errors, explain_write_errors
from nae_tf.runs.locks import ProcessLock

# Names of folders and files that say what part of the data is in them.
_PARTS = {"data", "good", "inliers", "normal", "ok", "train", "training"}


def default_run_dir(
    gin_file: str, files: Iterable[str], resume: bool = False
) -> pathlib.Path:
    """Return the folder of a run whose user named none.

    Args:
        gin_file: path of the first gin file, which names the run of a preset.
        files: paths of the user's own data, which name the run if there are
            some: "photos/good" that in runs/photos.
        resume: whether a run is continued. Those of earlier versions have the
            name of the gin file.

    Example:
        >>> from nae_tf.runs.run_directory import default_run_dir
        >>> default_run_dir("gin/digits.gin", []).as_posix()
        'runs/digits'
        >>> default_run_dir("mnist.gin", ["/home/me/photos/good"]).as_posix()
        'runs/photos'
        >>> default_run_dir("vectors.gin", ["normal.csv"]).as_posix()
        'runs/normal'
    """
    runs = pathlib.Path("runs")
    earlier = runs / pathlib.Path(gin_file).stem
    first = next(iter(files), None)
    if first is None:
        return earlier
    path = pathlib.Path(first)
    names = [part for part in (*path.parent.parts, path.stem) if _is_name(part)]
    telling = [name for name in names if name.lower() not in _PARTS]
    if not names:
        return earlier
    named = runs / (telling or names)[-1]
    if resume and not named.exists() and (earlier / "config.gin").exists():
        return earlier
    return named


def _is_name(part: str) -> bool:
    """Return whether a part of a path can name a folder."""
    return part not in ("..", ".") and not set(part) & set("*?[]/\\:")


class RunDirectory:
    """The paths of a run, its lock and its configuration.

        config.gin  schema.json  fingerprints.npz  metrics.csv
        checkpoints/<phase>/  snapshots/<phase>/  tensorboard/
        results.json  report.html  figures/  samples/

    A file is written completely or not at all.
    """

    def __init__(self, path):
        """Set the directory; nothing is created yet."""
        self.path = pathlib.Path(path)
        self.config = self.path / "config.gin"
        self.schema = self.path / "schema.json"
        self.fingerprints = self.path / "fingerprints.npz"
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

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training here within the context.

        Raises:
            BlockingIOError: if another process trains here.
            OSError: if the directory cannot be written.
        """
        lock = ProcessLock(self.path / ".lock")
        with explain_file_errors(
            f"cannot write into the run directory {str(self.path)!r}",
            "Fix its permissions, or choose a different --run_dir.",
        ):
            is_ours = lock.acquire()
        if not is_ours:
            raise BlockingIOError(
                f"the run directory {str(self.path)!r} is in use by "
                f"{lock.holder()}; wait until it has ended, or choose a "
                "different --run_dir."
            )
        try:
            yield
        finally:
            lock.release()

    def begin(self, resume: bool) -> bool:
        """Check whether the existing directory holds a run to continue.

        Args:
            resume: whether the user asked to continue a run.

        Returns:
            Whether there is a run to continue. Files whose names start with a
            dot do not count.

        Raises:
            FileExistsError: if there are files, but no run to continue.
            ValueError: if a link leads out of the directory.
        """
        if all(path.name.startswith(".") for path in self.path.iterdir()):
            return False
        self._refuse_what_leads_out()
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

    def _refuse_what_leads_out(self, links: bool = True):
        """Refuse links of strangers, through which we would write elsewhere."""
        if fault := leads_out(self.path, links):
            raise ValueError(
                f"the run directory {str(self.path)!r} is refused: {fault}; "
                "replace it by a copy of the file."
            )

    def check_config(self, text: str):
        """Compare a configuration with that of the run to be continued.

        A parameter that the code has got since counts as set to its default.

        Args:
            text: configuration in the form that gin writes.

        Raises:
            ValueError: if they differ; the message names the first binding
                that does.
        """
        saved = _bindings(self.config.read_text(encoding="utf-8"))
        given = _bindings(text)
        for name in [*saved, *given]:
            if name not in saved and given[name] == default_text(name):
                continue
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
            trusted: whether the configuration may import modules, which runs
                their code, and include files, and whether links may lead out of
                the directory.

        Raises:
            FileNotFoundError: if it is not a run directory.
            ValueError: if the configuration imports or includes something, or a
                link leads out of the directory.
        """
        if not self.config.exists():
            raise FileNotFoundError(
                f"{str(self.path)!r} is not a run directory: it has no "
                "config.gin; name the --run_dir of a finished nae_tf.train."
            )
        self._refuse_what_leads_out(links=not trusted)
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

    def record_sizes(self) -> dict[str, int]:
        """Return the sizes of the records, once they are on the disk.

        Records are the files that grow: metrics.csv and TensorBoard's events.

        Returns:
            Sizes in bytes, by path in the run directory.
        """
        sizes = {}
        for path in self._records():
            with _writing(path), open(path, "rb") as file:
                os.fsync(file.fileno())
                size = os.fstat(file.fileno()).st_size
            sizes[path.relative_to(self.path).as_posix()] = size
        return sizes

    def cut_records(self, sizes: dict[str, int]):
        """Cut the records back to their sizes at a checkpoint.

        A training that continues from a checkpoint writes all later rows again.
        Cutting them off first keeps them from being doubled.

        Args:
            sizes: sizes in bytes by path, a result of `record_sizes`. A record
                without a size is deleted.
        """
        for path in self._records():
            size = sizes.get(path.relative_to(self.path).as_posix())
            with _writing(path):
                if size is None:
                    path.unlink()
                elif size < path.stat().st_size:
                    os.truncate(path, size)

    def _records(self):
        events = (
            path for path in self.tensorboard.rglob("*") if path.is_file()
        )
        metrics = [self.metrics] if self.metrics.exists() else []
        return sorted([*metrics, *events])


def _writing(path):
    return explain_write_errors(
        f"cannot write {str(path)!r}", "continue with --resume"
    )


def _bindings(text):
    """Return values by name of a configuration that gin has written."""
    # A long value continues in indented lines.
    joined = re.sub(r"[ \t]*\\?\n[ \t]+", " ", text)
    return dict(re.findall(r"^([^#\s]\S*) = (.*)$", joined, re.MULTILINE))
