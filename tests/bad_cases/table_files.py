"""Tables in text and in columnar files that cannot be read as numbers."""

import gzip

import numpy as np
import pyarrow
from pyarrow import feather, ipc, parquet

from bad_cases.array_files import file, raw, text
from nae_tf.data import user_tasks

RANDOM = np.random.default_rng(0).normal(size=(40, 4))
REMEDY = "say which by header='yes' or header='no'"


def numbers(first, columns=4, form="%.4f"):
    """A first line above a table of random numbers."""

    def write(path):
        np.savetxt(
            path, RANDOM[:, :columns], form, ",", header=first, comments=""
        )

    return write


def columnar(write, **columns):
    def call(path):
        write(pyarrow.table(columns), path)

    return call


def stream(table, path):
    with ipc.new_stream(str(path), table.schema) as out:
        out.write_table(table)


def cut_off(write, count):
    """A file that lacks its last bytes."""

    def call(path):
        write(pyarrow.table({"a": np.arange(1_000.0)}), path)
        path.write_bytes(path.read_bytes()[:-count])

    return call


def outliers_among_the_inliers(tmp_path):
    for name in ("good1", "good2", "bad"):
        (tmp_path / f"{name}.csv").write_text("a,b\n1,2\n3,4\n")
    user_tasks.user_data(f"{tmp_path}/*.csv", {"bad": f"{tmp_path}/bad.csv"})


def a_file_twice(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n3,4\n")
    user_tasks.user_data([f"{tmp_path}/a.csv", f"{tmp_path}/*.csv"])


def other_names(tmp_path):
    (tmp_path / "good.csv").write_text("a,b\n" + "1,2\n" * 20)
    (tmp_path / "bad.csv").write_text("a,c\n1,2\n")
    user_tasks.user_data(f"{tmp_path}/good.csv", {"bad": f"{tmp_path}/bad.csv"})


CASES = {
    # --- Is the first line a header? ---
    **{
        f"names that are {kind}": file(
            "a.csv",
            numbers(first, columns, form),
            f"line 1 .*{reason}.*{REMEDY}",
        )
        for kind, first, columns, form, reason in [
            (
                "wavelengths",
                "400,402,404,406",
                4,
                "%.4f",
                "equal steps|ordered",
            ),
            ("masses", "100.1,205.7,300.5,400", 4, "%.4f", "range"),
            (
                "masses out of order",
                "205.7,100.1,400,300.5",
                4,
                "%.4f",
                "range",
            ),
            ("channels", "1,2,3,4", 4, "%.4f", "equal steps|ordered"),
            ("channels out of order", "3,1,4,2", 4, "%.4f", "equal steps"),
            ("two years", "2019,2020", 2, "%.4f", "range|fractions"),
            ("small numbers", "1,0", 2, "%.4f", "integers above fractions"),
            ("counted", "0,1,2,3", 4, "%.4f", "it counts the columns, 0 to 3"),
            ("a lone zero", "0", 1, "%.4f", "it counts the columns, 0 to 0"),
        ]
    },
    "names that are masses among the values": file(
        "a.csv",
        text("1.1,2.7,3.5,9.2,9.9\n5.1,2.2,9.9,1.1,3.3\n9.9,1.1,5.5,9.9,1.1\n"),
        "line 1 .*ordered, as no other line",
    ),
    "a first line without values": file(
        "a.csv", text("NA,NA\n1,2\n"), f"line 1 has neither values .*{REMEDY}"
    ),
    "a first line of question marks": file(
        "a.csv", text("?,?\n1,2\n"), "line 1 has neither values nor names"
    ),
    "an unknown kind of header": file(
        "a.csv",
        text("a\n1\n"),
        "expected header 'yes', 'no' or 'auto', received 'maybe'",
        header="maybe",
    ),
    # --- Names ---
    "an index of pandas": file(
        "a.csv", text(",a\n0,1\n"), r"column 0 has no name, .*'Unnamed: 0'"
    ),
    "an index that was read back": file(
        "a.csv", text("Unnamed: 0,a\n0,1\n"), r"column 0 has no .*'Unnamed: 0'"
    ),
    "separators at the ends of lines": file(
        "a.csv", text("a,b,\n1,2,\n"), "column 2 has no name, .*separators at"
    ),
    "equal names": file(
        "a.csv", text("a,a\n1,2\n"), r"several columns named \['a'\]"
    ),
    "a misspelt column to drop": file(
        "a.csv",
        text("a,y\n1,2\n"),
        r"has no 'Y'; it has \['a', 'y'\]",
        drop=["Y"],
    ),
    "columns to drop without names": file(
        "a.csv", text("5,2\n3,4\n"), "has no names of columns", drop=["y"]
    ),
    "labels without names": file(
        "a.csv",
        text("5,2\n3,4\n"),
        "has no names of columns, which label_key",
        label_key="y",
    ),
    "nothing but labels": file(
        "a.csv", text("y\na\n"), "has no column of features", label_key="y"
    ),
    "other names than expected": file(
        "a.csv",
        text("b,c\n1,2\n"),
        r"lacks the columns \['a'\] and has \['c'\] besides",
        names=("a", "b"),
    ),
    "outliers of other names": (
        other_names,
        r"bad.csv lacks the columns \['b'\] and has \['c'\] besides",
    ),
    # --- Numbers ---
    **{
        f"{kind} in a column": file(
            "a.csv", text(f"a,b\n1,2\n{value},4\n"), message
        )
        for kind, value, message in [
            ("truth values", "True", "line 3: .*'True' in column 'a'; write 0"),
            ("a date", "2020-01-31", "line 3: .*'2020-01-31' in column 'a'"),
            ("a category", "red", "'red' in column 'a'; repair it, or leave"),
            ("a thousand", '"1,234"', "'1,234' .*no commas between thousands"),
            ("a percentage", "5%", "line 3: expected numbers, received '5%'"),
            ("hexadecimals", "0x10", "line 3: expected numbers, .*'0x10'"),
            ("a unit", "5 km", "line 3: expected numbers, received '5 km'"),
            ("a true minus", "\u22125", "line 3: expected numbers, received"),
            ("a question mark", "?", "column 'a' has no value in line 3, one"),
            ("NA", "NA", "column 'a' has no value in line 3, one of 1;"),
            ("infinity", "-inf", r"'a' has NaN or .*\(-inf\) in line 3;"),
            ("too much", "1e39", r"'a' has NaN or .*\(1e\+39\) in line 3;"),
            ("an identifier", 2**53 + 1, r"'a' holds integers of 2\*\*53 or"),
        ]
    },
    "thousands or fractions": file(
        "a.csv", text("a;b\n1,500;2,000\n"), "line 2: '1,500' may be thousands"
    ),
    "two decimal points": file(
        "a.csv", text("a;b\n1,5;2\n3.5;4\n"), "line 3: .*received '3.5'"
    ),
    "a missing value in one column": file(
        "a.csv", text("a\n1\n\n3\n"), "column 'a' has no value in line 3"
    ),
    "a bad line after a line break in quotes": file(
        "a.csv",
        text('a,y\n1,"x\nz"\nq,b\n'),
        "line 4: expected numbers, received 'q'",
        drop=["y"],
    ),
    # --- Text ---
    "a comment": file(
        "a.csv", text("# a,b\n1,2\n"), "line 1 begins with '# a'"
    ),
    "a late comment": file(
        "a.csv", text("a,b\n1,2\n# x\n"), "line 3: expected 2 fields"
    ),
    "a line for a spreadsheet": file(
        "a.csv", text("sep=;\na;b\n1;2\n"), "line 1 begins with 'sep='"
    ),
    "a title above": file(
        "a.csv", text("Report\na,b\n1,2\n"), "line 2: expected 1 fields"
    ),
    "names of rows": file(
        "a.csv", text('"a","b"\n"1",1,2\n'), "line 2: expected 2 fields"
    ),
    "commas in a table of tabs": file(
        "a.tsv", text("a,b\n1,2\n"), "line 1 has one column, 'a,b'; separate"
    ),
    "blanks between fields": file(
        "a.csv", text("a b\n1 2\n"), "line 2: .*'1 2'.*; separate the fields by"
    ),
    "UTF-16 without a mark": file(
        "a.csv", raw("a,b\n1,2\n".encode("utf-16-le")), "it has zero bytes"
    ),
    "Latin-1": file(
        "a.csv", raw("a,b\n1,2\n1,é\n".encode("latin-1")), "line 3: .*UTF-8"
    ),
    "a workbook by the name of a table": file(
        "a.csv", raw(b"PK\x03\x04\0\0"), "is not a CSV file: it has zero bytes"
    ),
    "no gzip": file("a.csv.gz", raw(b"hello"), "is not a gzip file"),
    "half a gzip": file(
        "a.csv.gz", raw(gzip.compress(b"a,b\n1,2\n")[:-6]), "is not a gzip file"
    ),
    "nothing in a gzip": file(
        "a.csv.gz", raw(gzip.compress(b"")), "has no rows"
    ),
    # --- Parquet, Feather, Arrow ---
    **{
        f"{kind} in Parquet": file(
            "a.parquet",
            columnar(parquet.write_table, a=[1.0] * len(values), b=values),
            f"column 'b' {message}",
        )
        for kind, values, message in [
            ("words", ["x", "y"], "holds string, expected numbers"),
            (
                "a category",
                pyarrow.array(["x"]).dictionary_encode(),
                "holds dict",
            ),
            ("lists", [[1.0], [2.0, 3.0]], "holds lists of 1 values and, in"),
            ("a missing value", [1, None], r"has no value in row 1 \(counted"),
            ("NaN", [1.0, np.nan], r"has NaN or .*\(nan\) in row 1"),
            ("identifiers", [2**53 + 1], r"holds integers of 2\*\*53 or more"),
        ]
    },
    "no Parquet": file("a.parquet", raw(b"hello"), "cannot be read: "),
    "half a Parquet": file(
        "a.parquet", cut_off(parquet.write_table, 100), "cannot be read: "
    ),
    "no Feather": file("a.feather", raw(b"hello"), "lacks the mark of the end"),
    "old Feather": file("a.feather", raw(b"FEA1" + bytes(40)), "first version"),
    "half a Feather": file(
        "a.feather", cut_off(feather.write_feather, 100), "cannot be read: "
    ),
    "a stream cut between batches": file(
        "a.arrows",
        cut_off(stream, 8),
        "is cut off: it lacks the mark of the end",
    ),
    "no rows": file(
        "a.parquet",
        columnar(parquet.write_table, a=pyarrow.array([], "f8")),
        "has no rows",
    ),
    # --- Labels ---
    **{
        f"labels of {kind}": file(
            "a.csv",
            text(f"a,y\n1,x\n2,{value}\n3,{value}\n"),
            "2 of 3 examples have no label, the first is number 1 ",
            label_key="y",
        )
        for kind, value in [
            ("nothing", ""),
            ("NaN", "NaN"),
            ("question marks", "?"),
        ]
    },
    "labels that are null": file(
        "a.parquet",
        columnar(parquet.write_table, a=[1.0, 2.0], y=[1, None]),
        "1 of 2 examples have no label, the first is number 1 ",
        label_key="y",
    ),
    "outliers among the inliers": (
        outliers_among_the_inliers,
        "bad.csv is given as inliers and as bad",
    ),
    "a file twice": (a_file_twice, "a.csv is given twice"),
}
