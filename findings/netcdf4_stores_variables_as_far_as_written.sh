#!/usr/bin/env bash
# netCDF-4: a variable that was written less far than others, read as HDF5.
#
# Guess: netCDF-4 files are HDF5 files, so h5py sees every variable with the shape
# that netCDF4 shows: along an unlimited dimension all are equally long, and what
# was never written is filled.
#
# Seen with netCDF4 1.7.5.1.post1 and h5py 3.16.0 (NumPy 2.4.6, Python 3.11): the
# array of HDF5 ends where the last value was written. netCDF4 answers 20 rows, of
# which ten are masked; h5py answers ten, without a fill value among them. The
# dimension does not tell: its own array has the length 0. Only the other
# variables do, which REFERENCE_LIST of the dimension names. So values and labels
# of one file may differ in number. Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet \
  "netCDF4==1.7.5.1.post1" "h5py==3.16.0" "numpy==2.4.6"
cat >"$folder/try.py" <<'PYTHON'
import pathlib
import sys

import h5py
import netCDF4
import numpy as np

path = pathlib.Path(sys.argv[1]) / "a.nc"
with netCDF4.Dataset(path, "w") as file:
    file.createDimension("event", None)
    file.createDimension("feature", 4)
    values = file.createVariable("x", "f4", ("event", "feature"))
    values[:10] = np.ones((10, 4))
    file.createVariable("label", "i4", ("event",))[:] = np.arange(20)
with netCDF4.Dataset(path) as file:
    x = file["x"][:]
    by_netcdf4 = x.shape, int(np.ma.getmaskarray(x)[:, 0].sum())
with h5py.File(path) as file:
    event = file["event"]
    by_h5py = file["x"].shape, int((file["x"][:, 0] != 1).sum())
    lengths = {
        file[variable].name: file[variable].shape[axis]
        for variable, axis in event.attrs["REFERENCE_LIST"]
    }
    by_dimension = event.shape
print(f"netCDF4: x {by_netcdf4[0]}, {by_netcdf4[1]} rows masked")
print(f"h5py: x {by_h5py[0]}, {by_h5py[1]} rows of fill values")
print(f"h5py: dimension {by_dimension}, its variables {lengths}")
print(
    f"netCDF4 {netCDF4.__version__}, h5py {h5py.__version__}, "
    f"NumPy {np.__version__}"
)
sys.exit(
    (by_netcdf4, by_h5py, by_dimension, lengths)
    != (((20, 4), 10), ((10, 4), 0), (0,), {"/x": 10, "/label": 20})
)
PYTHON
"$folder/venv/bin/python" "$folder/try.py" "$folder"

# netCDF4: x (20, 4), 10 rows masked
# h5py: x (10, 4), 0 rows of fill values
# h5py: dimension (0,), its variables {'/x': 10, '/label': 20}
# netCDF4 1.7.5.1.post1, h5py 3.16.0, NumPy 2.4.6
