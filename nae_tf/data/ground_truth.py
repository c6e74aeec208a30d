"""Masks of the defects in test images, which are no images themselves."""

import concurrent.futures
import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from nae_tf.data.image_headers import JPEG_SIGNATURE
from nae_tf.data.readers.images import decode_image


@dataclasses.dataclass(frozen=True, eq=False)
class Masks:
    """Masks of a set of images, read when they are asked for.

    Attributes:
        images: paths of the images.
        sizes: [height, width] of every image.
        files: paths of the masks of every image, which are joined; an empty
            list for an image without any.
        has_defects: whether images without a mask are left out; those of
            inliers have no defect.
        blank: paths of masks that mark nothing, which are not in `files`.
    """

    images: Sequence[pathlib.Path]
    sizes: Sequence[tuple[int, int]]
    files: Sequence[Sequence[pathlib.Path]]
    has_defects: bool = True
    blank: Sequence[pathlib.Path] = ()

    @property
    def num_known(self) -> int:
        """Number of images whose defects are known."""
        if not self.has_defects:
            return len(self.images)
        return sum(bool(files) for files in self.files)

    def read(self, position: int) -> np.ndarray | None:
        """Read the mask of an image.

        Args:
            position: position of the image in its set.

        Returns:
            bool [height, width], where the defect is; None if nobody knows.

        Raises:
            ValueError: if a mask is damaged, or of another size.
        """
        size, files = self.sizes[position], self.files[position]
        if not files:
            return None if self.has_defects else np.zeros(size, bool)
        mask = np.zeros(size, bool)
        for file in files:
            part = _marked(file)
            if part.shape != tuple(size):
                raise ValueError(
                    f"{file} has {part.shape[0]}x{part.shape[1]} pixels, but "
                    f"{self.images[position]}, whose mask it is, has "
                    f"{size[0]}x{size[1]}; give it the size of the image."
                )
            mask |= part
        return mask

    def without_blank(self) -> "Masks":
        """Read every mask once, and leave out those that mark nothing.

        Raises:
            ValueError: if a mask is damaged, or of another size.
        """

        def marks(position):
            mask = self.read(position)
            return mask is not None and bool(mask.any())

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
            marked = list(threads.map(marks, range(len(self.images))))
        each = list(zip(self.files, marked, strict=True))
        return dataclasses.replace(
            self,
            files=[files if known else [] for files, known in each],
            blank=[
                file for files, known in each if not known for file in files
            ],
        )


def _marked(file):
    """Where a mask is above black, bool [height, width]."""
    encoded = file.read_bytes()
    levels = decode_image(encoded, str(file))
    # Around edges JPEG makes black lighter.
    black = 127 if encoded.startswith(JPEG_SIGNATURE) else 0
    return (levels > black).any(axis=-1)


@dataclasses.dataclass(frozen=True, eq=False)
class GroundTruth:
    """Masks of the test images of a task.

    Attributes:
        inliers: those of the test inliers.
        outliers: those of sets of outliers, by name.
    """

    inliers: Masks
    outliers: Mapping[str, Masks]
