"""Readers of medical images: NIfTI by nibabel, DICOM by pydicom."""

import math

import numpy as np

from nae_tf.data.readers.checks import warn_below_white
from nae_tf.data.readers.contents import Contents
from nae_tf.data.readers.memory import check_memory
from nae_tf.data.readers.optional import library


def read_nifti(path, key, label_key, columns) -> Contents:
    """Read a volume as slices along its third axis.

    The axes are turned to lead to the right, to the front and up, however the
    file stores them; slices are [right, front]. scl_slope and scl_inter are
    applied. A series of volumes is the slices of one after another.

    Args:
        path: the file.
        key: None, because a file holds one volume.
        label_key: None, because a volume has no classes.
        columns: empty, because a volume has no columns.

    Raises:
        ModuleNotFoundError: if nibabel is not installed.
        ValueError: if it is no volume.
    """
    nibabel = library(path, "NIfTI", "nibabel", "medical")

    _refuse_names(path, key, label_key, columns)
    try:
        volume = nibabel.load(path)
        # Scaled values are of double precision.
        check_memory(path, math.prod(volume.shape) * 8)
        volume = nibabel.as_closest_canonical(volume)
        dtype = np.dtype(volume.get_data_dtype())
        if dtype.kind not in "iuf":
            raise ValueError(f"{path}: expected numbers, received {dtype}.")
        values = np.asarray(volume.dataobj)  # Scaled as the header says.
    except (
        EOFError,
        OSError,
        ValueError,
        nibabel.filebasedimages.ImageFileError,
    ) as error:
        if str(error).startswith(str(path)):
            raise
        raise _damage(path, "NIfTI", error) from error
    if values.ndim not in (3, 4):
        raise ValueError(
            f"{path}: expected a volume or a series of volumes, received an "
            f"array of shape {values.shape}."
        )
    if values.ndim == 4:
        values = values.transpose(3, 2, 0, 1)
        return Contents(values.reshape(-1, *values.shape[2:]))
    return Contents(values.transpose(2, 0, 1))


def read_dicom(
    path, key, label_key, columns, image_shape=None, max_level=None
) -> Contents:
    """Read the image of a DICOM file, or its frames.

    MONOCHROME1, where 0 is white, is inverted. Levels of other than 8 bits are
    spread over 16 bits, unless `max_level` says what white is. Values with a
    rescale slope and intercept are in the file's units, as they stand.

    Arguments and errors are those of `read_nifti`, with pydicom; images are
    resized by who calls.
    """
    pydicom = library(path, "DICOM", "pydicom", "medical")
    pixels = library(path, "DICOM", "pydicom.pixels", "medical")

    _refuse_names(path, key, label_key, columns)
    try:
        file = pydicom.dcmread(path)
        if "PixelData" not in file:
            what = "no image"
            if "FloatPixelData" in file or "DoubleFloatPixelData" in file:
                what = "an image of floats; save it as an array"
            raise ValueError(f"{path} holds {what}.")
        if "PALETTE" in file.PhotometricInterpretation:
            raise ValueError(f"{path} has a palette; convert it to colours.")
        if "ModalityLUTSequence" in file:
            raise ValueError(
                f"{path} has a table of values (Modality LUT); apply it, as by "
                "pydicom.pixels.apply_modality_lut, and save an array."
            )
        if file.get("HighBit", file.BitsStored - 1) != file.BitsStored - 1:
            raise ValueError(
                f"{path} keeps its levels in the upper bits (HighBit "
                f"{file.HighBit} of {file.BitsStored} bits); shift them down."
            )
        check_memory(path, _num_levels(file) * file.BitsAllocated // 8)
        stored = pixels.pixel_array(file)
        _refuse_padding(path, file, stored)
    except (
        pydicom.errors.InvalidDicomError,
        AttributeError,
        EOFError,
        KeyError,
        NotImplementedError,
        OSError,
        RuntimeError,
        ValueError,
    ) as error:
        if str(error).startswith(str(path)):
            raise
        raise _damage(path, "DICOM", error) from error
    if int(file.get("NumberOfFrames") or 1) == 1:
        stored = stored[None]
    return Contents(_levels(path, file, stored, max_level))


def _num_levels(file):
    frames = int(file.get("NumberOfFrames") or 1)
    return frames * file.Rows * file.Columns * file.get("SamplesPerPixel", 1)


def _refuse_padding(path, file, stored):
    """Refuse pixels that were not measured, as around a round view."""
    first = file.get("PixelPaddingValue")
    if first is None or stored.ndim > 3:
        return
    last = file.get("PixelPaddingRangeLimit", first)
    low, high = sorted((int(first), int(last)))
    count = np.count_nonzero((stored >= low) & (stored <= high))
    if count:
        raise ValueError(
            f"{path}: {count} pixels are padding (PixelPaddingValue {first}); "
            "cut them off, or fill them and remove that tag."
        )


def _levels(path, file, stored, max_level):
    """Grey levels or values in the file's units."""
    bits = int(file.BitsStored)
    slopes, intercepts, is_stated = _rescales(file, len(stored), stored.ndim)
    # Signed numbers with a slope of 1 are in units, as those of Hounsfield.
    is_in_units = (slopes != 1).any() or (intercepts != 0).any()
    if is_in_units or (is_stated and file.PixelRepresentation):
        # How they are shown, as by MONOCHROME1, does not change them.
        return (stored * slopes + intercepts).astype(np.float32)
    low = -(2 ** (bits - 1)) if file.PixelRepresentation else 0
    levels = stored.astype(np.int64) - low
    if file.PhotometricInterpretation == "MONOCHROME1":
        levels = 2**bits - 1 - levels
    if bits > 16:
        # More levels than images of levels have.
        if max_level is not None:
            return levels.astype(np.float32)
        white = 2**bits - 1
        warn_below_white(path, levels.max(), white)
        return (levels / white).astype(np.float32)
    if max_level is None and bits not in (8, 16):
        levels = np.round(levels * (65_535 / (2**bits - 1)))
    return levels.astype(np.uint8 if bits == 8 else np.uint16)


def _rescales(file, num_frames, ndim):
    """Slopes and intercepts of the frames, [frames, 1, ...]; 1 and 0 for none.

    Enhanced images have them in groups, for all frames or for each; doses have
    a scaling alone. The third value is whether the file states any.
    """
    shared = [file, *file.get("SharedFunctionalGroupsSequence", ())]
    frames = file.get("PerFrameFunctionalGroupsSequence") or [{}] * num_frames
    pairs = []
    is_stated = False
    for frame in frames:
        slope, intercept = float(file.get("DoseGridScaling", 1.0)), 0.0
        for group in (*shared, frame):
            steps = group.get("PixelValueTransformationSequence", ())
            for holder in (group, *steps):
                slope = float(holder.get("RescaleSlope", slope))
                intercept = float(holder.get("RescaleIntercept", intercept))
                is_stated |= "RescaleSlope" in holder
        pairs.append((slope, intercept))
    shape = (2, -1) + (1,) * (ndim - 1)
    return *np.reshape(np.transpose(pairs), shape), is_stated


def _damage(path, kind, error):
    """Return an error of one line, of the first sentence of another's."""
    reason = str(error).splitlines()[0].partition(". ")[0].rstrip(".")
    return ValueError(f"{path} is damaged or no {kind} file: {reason}.")


def _refuse_names(path, key, label_key, columns):
    if key is not None or label_key is not None or columns.drop:
        raise ValueError(
            f"{path} holds an image alone; leave key, label_key and drop out."
        )
