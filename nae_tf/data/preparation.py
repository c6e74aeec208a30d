"""Data sets of tensorflow-datasets, prepared from downloads or raw files."""

import gzip
import hashlib
import os
import pathlib
import shutil
import urllib.parse

from nae_tf.base.private import replace_download_manager
from nae_tf.data.tfds_files import import_tfds
from nae_tf.data.tfds_images import IMAGE_SETS

# MD5 checksums of the contents: distributors compress these files again.
MD5_OF_CONTENTS = {
    "mnist": {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
}


_CHUNK = 2**20


class LocalFiles:
    """Stands in for the download manager of tensorflow-datasets.

    Every URL is answered with the file of the same name in a folder, after a
    check of its checksum.
    """

    def __init__(self, manager, url_infos, md5_of_contents, folder, work_dir):
        """Take the real manager, which extracts archives.

        Args:
            manager: the real `tfds.download.DownloadManager`.
            url_infos: file names and checksums that tensorflow-datasets has,
                by URL.
            md5_of_contents: MD5 checksums of decompressed contents, by file
                name without ".gz". Other files are checked as they are.
            folder: folder of the raw files.
            work_dir: folder for decompressed files.
        """
        self._manager = manager
        self._url_infos = url_infos
        self._md5_of_contents = md5_of_contents
        self._folder = folder
        self._work_dir = work_dir

    def download(self, urls):
        """Return checked local files for URLs, in the same structure."""
        return _map_structure(self._raw_file, urls)

    def extract(self, paths):
        """Extract archives."""
        return self._manager.extract(paths)

    def download_and_extract(self, urls):
        """Return checked local files, decompressed or extracted."""
        return _map_structure(self._extracted, urls)

    def iter_archive(self, path):
        """Iterate over the members of an archive."""
        return self._manager.iter_archive(path)

    def _raw_file(self, url):
        info = self._url_infos[url]
        path = self._find([info.filename or _file_name(url)])
        _check_sum(path, _hash_of(path, "sha256"), info.checksum)
        return path

    def _extracted(self, url):
        name = _file_name(url).removesuffix(".gz")
        if name not in self._md5_of_contents:
            return self._manager.extract(self._raw_file(url))
        path = self._find([f"{name}.gz", name])
        target = self._work_dir / name
        md5 = _decompress(path, target)
        _check_sum(path, md5, self._md5_of_contents[name])
        return target

    def _find(self, names):
        for name in names:
            if (self._folder / name).is_file():
                return self._folder / name
        raise FileNotFoundError(
            f"{self._folder} has no file {' or '.join(names)}, which this "
            "data set needs."
        )


def prepare(
    name: str, data_dir: str | None = None, import_from: str | None = None
) -> pathlib.Path:
    """Download or import a data set, unless it is there already.

    Args:
        name: key of `tfds_images.IMAGE_SETS`.
        data_dir: folder of tensorflow-datasets; None means the environment
            variable NAE_TF_DATA_DIR, or else the default of
            tensorflow-datasets.
        import_from: folder of the raw files, if they were downloaded by other
            means; None means to download them.

    Returns:
        Folder of the prepared data set.

    Raises:
        FileNotFoundError: if a raw file is missing.
        ValueError: if a raw file is not the original, or if the place of the
            data set is taken by something else.
    """
    tfds = import_tfds()
    image_set = IMAGE_SETS[name]
    data_dir = data_dir or os.environ.get("NAE_TF_DATA_DIR") or None
    final = tfds.builder(image_set.tfds_name, data_dir=data_dir)
    target = pathlib.Path(final.data_path)
    if target.exists():
        _check_prepared(final, image_set, target)
        return target

    depth = final.info.full_name.count("/")
    root = target.parents[depth]
    work_dir = root / f".incomplete-{name}"
    shutil.rmtree(work_dir, ignore_errors=True)  # Of an interrupted command.
    work_dir.mkdir(parents=True)
    try:
        builder = tfds.builder(image_set.tfds_name, data_dir=work_dir)
        download_dir = root / "downloads"  # Kept if interrupted.
        if import_from is not None:
            download_dir = work_dir / "downloads"
            folder = pathlib.Path(import_from)
            _take_local_files(builder, name, folder, work_dir)
        builder.download_and_prepare(
            download_dir=download_dir,
            download_config=tfds.download.DownloadConfig(
                extract_dir=work_dir / "extracted", try_download_gcs=False
            ),
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(builder.data_path, target)
    finally:
        shutil.rmtree(work_dir, ignore_errors=True)
    return target


def _take_local_files(builder, name, folder, work_dir):
    """Make a builder read raw files of a folder instead of downloads."""
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder} to import from.")
    checksums = MD5_OF_CONTENTS.get(name, {})
    replace_download_manager(
        builder,
        lambda manager: LocalFiles(
            manager, builder.url_infos, checksums, folder, work_dir
        ),
    )


def _check_prepared(builder, image_set, target):
    needed = set(image_set.splits.values())
    found = set(builder.info.splits) if builder.is_prepared() else set()
    if not needed <= found:
        raise ValueError(
            f"{target} exists, but has the splits {sorted(found)} instead of "
            f"{sorted(needed)}; move it away and run this command again."
        )


def _check_sum(path, actual, expected):
    if actual != expected:
        raise ValueError(
            f"{path} is not the original file or is damaged: its checksum is "
            f"{actual}, expected {expected}."
        )


def _hash_of(path, algorithm):
    digest = hashlib.new(algorithm)
    with path.open("rb") as file, _progress(path) as progress:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            progress.update(len(chunk))
    return digest.hexdigest()


def _decompress(source, target):
    """Copy a file, decompressed if its name says so; return the copy's MD5."""
    digest = hashlib.md5(usedforsecurity=False)
    with (
        source.open("rb") as raw,
        target.open("wb") as copy,
        _progress(source) as progress,
    ):
        file = gzip.GzipFile(fileobj=raw) if source.suffix == ".gz" else raw
        try:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                copy.write(chunk)
                progress.update(raw.tell() - progress.n)
        except (EOFError, OSError) as error:
            raise ValueError(
                f"{source} cannot be decompressed: {error}."
            ) from error
    return digest.hexdigest()


def _progress(path):
    import tqdm

    return tqdm.tqdm(
        desc=f"Checking {path.name}",
        total=path.stat().st_size,
        unit="B",
        unit_scale=True,
    )


def _file_name(url):
    return pathlib.PurePosixPath(urllib.parse.urlparse(url).path).name


def _map_structure(function, urls):
    """Apply a function to one URL, or to all in a list or a dictionary."""
    if isinstance(urls, dict):
        return {key: function(url) for key, url in urls.items()}
    if isinstance(urls, (list, tuple)):
        return [function(url) for url in urls]
    return function(urls)
