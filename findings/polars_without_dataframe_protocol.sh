#!/usr/bin/env bash
# polars and pandas: a protocol that every table speaks.
#
# Guess: a library that takes tables of any kind asks for __dataframe__, the
# interchange protocol of pandas, polars and pyarrow; or for Arrow's C stream,
# which the table and the single column of each library offer alike.
#
# Seen with polars 2.1.0, pyarrow 26.0.1, pandas 2.3.3 and 3.1.1 (NumPy 2.4.6,
# Python 3.11): polars has no __dataframe__ any more. All tables have
# __arrow_c_stream__. Of single columns polars.Series has it, pandas.Series with
# pandas 3.1.1 only. A column of pandas 2 takes a way of its own, such as
# numpy.asarray or its to_frame. Output at the end of this file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/try.py" <<'PYTHON'
import sys

import pandas as pd
import polars as pl
import pyarrow as pa

tables = {
    "polars.DataFrame": pl.DataFrame({"x": [1, 2]}),
    "pyarrow.Table": pa.table({"x": [1, 2]}),
    "pandas.DataFrame": pd.DataFrame({"x": [1, 2]}),
    "polars.Series": pl.Series([1, 2]),
    "pandas.Series": pd.Series([1, 2]),
}
stream = "__arrow_c_stream__"
protocols = ("__dataframe__", stream)
found = {
    name: [protocol for protocol in protocols if hasattr(table, protocol)]
    for name, table in tables.items()
}
print(f"polars {pl.__version__}, pyarrow {pa.__version__}, pandas {pd.__version__}")
for name, names in found.items():
    print(f"  {name}: {', '.join(names) or 'neither'}")
expected = {
    "polars.DataFrame": [stream],
    "pyarrow.Table": list(protocols),
    "pandas.DataFrame": list(protocols),
    "polars.Series": [stream],
    "pandas.Series": [] if sys.argv[1] == "2.3.3" else [stream],
}
sys.exit(found != expected)
PYTHON
python3 -m venv "$folder/venv"
for version in 2.3.3 3.1.1; do
  "$folder/venv/bin/pip" install --quiet \
    "numpy==2.4.6" "pandas==$version" "polars==2.1.0" "pyarrow==26.0.1"
  "$folder/venv/bin/python" "$folder/try.py" "$version"
done

# polars 2.1.0, pyarrow 26.0.1, pandas 2.3.3
#   polars.DataFrame: __arrow_c_stream__
#   pyarrow.Table: __dataframe__, __arrow_c_stream__
#   pandas.DataFrame: __dataframe__, __arrow_c_stream__
#   polars.Series: __arrow_c_stream__
#   pandas.Series: neither
# polars 2.1.0, pyarrow 26.0.1, pandas 3.1.1
#   polars.DataFrame: __arrow_c_stream__
#   pyarrow.Table: __dataframe__, __arrow_c_stream__
#   pandas.DataFrame: __dataframe__, __arrow_c_stream__
#   polars.Series: __arrow_c_stream__
#   pandas.Series: __arrow_c_stream__
