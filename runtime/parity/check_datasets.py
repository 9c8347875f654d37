"""Reads with pyarrow, and with datasets where it is installed, a dataset folder that the engine wrote.

    TRIALITY_DATASET_OUT=/tmp/out go test -run TestWhatPyArrowIsToRead ./runtime/hfdataset
    python runtime/parity/check_datasets.py /tmp/out

/tmp/out has dataset/ and values.json, in which integers of 64 bits are text. Ends with 1 where a value
differs, a column is missing, or a type is another.
"""

import json
import sys
from pathlib import Path

import pyarrow as pa

failed = []


def plain(column, kind):
    return [str(v) for v in column] if pa.types.is_int64(kind) else column


def compare(reader, split, got, want):
    if set(got) != set(want):
        failed.append(f"{reader}: {split}: columns {sorted(got)}, want {sorted(want)}")
        return
    for name, values in want.items():
        same = got[name] == values
        print(f"{reader:10} {split:12} {name:12} {len(values):6} values {'equal' if same else 'DIFFER'}", flush=True)
        if not same:
            failed.append(f"{reader}: {split}.{name}")


def with_pyarrow(folder, want):
    splits = json.loads((folder / "dataset_dict.json").read_text())["splits"]
    if set(splits) != set(want):
        failed.append(f"pyarrow: splits {splits}, want {sorted(want)}")
    for split in splits:
        files = json.loads((folder / split / "state.json").read_text())["_data_files"]
        tables = []
        for file in files:
            with pa.memory_map(str(folder / split / file["filename"])) as source:
                table = pa.ipc.open_stream(source).read_all()
                table.validate(full=True)
                tables.append(table)
        table = pa.concat_tables(tables)
        for field in table.schema:
            if not (pa.types.is_string(field.type) or pa.types.is_int64(field.type) or field.type == pa.list_(pa.int32())):
                failed.append(f"pyarrow: {split}.{field.name} is {field.type}")
        compare("pyarrow", split, {f.name: plain(table[f.name].to_pylist(), f.type) for f in table.schema}, want[split])


def with_datasets(folder, want):
    try:
        from datasets import load_from_disk
    except ImportError:
        print("datasets is not installed: left out")
        return
    for split, data in load_from_disk(str(folder)).items():
        types = data.data.schema
        compare("datasets", split, {n: plain(list(data[n]), types.field(n).type) for n in data.column_names}, want[split])


if __name__ == "__main__":
    out = Path(sys.argv[1])
    expected = json.loads((out / "values.json").read_text())
    with_pyarrow(out / "dataset", expected)
    with_datasets(out / "dataset", expected)
    for what in failed:
        print("FAILED", what)
    sys.exit(1 if failed else 0)
