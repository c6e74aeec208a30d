#!/usr/bin/env bash
# KServe: files in the binary data extension of the Open Inference Protocol.
#
# Guess: the extension exists for what JSON cannot carry, so a PNG in a BYTES
# tensor that KServe's own client sends with binary_data=True reaches the model
# of KServe's own server as these bytes, as it does by gRPC and in Triton.
#
# Seen with KServe 0.21.0 (NumPy 2.4.6, Python 3.11): the server's reader turns
# the bytes into text by UTF-8. Text arrives as str instead of bytes; a file is
# an InferenceError, which a server answers by status 500, with the advice to use
# what was used, binary_data=True. Numbers arrive, NaN and half precision too.
# Over HTTP files travel as base64 in text, or by gRPC. Output at the end of this
# file.
#
# Ends with 0 if the behaviour is the same, else with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "numpy==2.4.6" "kserve==0.21.0"
cat >"$folder/try.py" <<'PYTHON'
import sys
from importlib import metadata

import numpy as np
from kserve import InferInput, InferRequest

PNG = b"\x89PNG\r\n\x1a\n"


def received(values, datatype):
    """What the reader of the server makes of what the client has written."""
    sent = InferInput("x", list(values.shape), datatype)
    sent.set_data_from_numpy(values, binary_data=True)
    body, length_of_json = InferRequest("model", [sent]).to_rest()
    try:
        read = InferRequest.from_bytes(body, length_of_json, "model")
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return read.inputs[0].as_numpy().tolist()


found = {
    "text": received(np.array([b"abc"], object), "BYTES"),
    "PNG": received(np.array([PNG], object), "BYTES"),
    "FP32": received(np.array([1.5, np.nan], np.float32), "FP32"),
    "FP16": received(np.array([1.5], np.float16), "FP16"),
}
for name, value in found.items():
    print(f"{name}: {value}")
print("KServe", metadata.version("kserve"))
sys.exit(
    found["text"] != ["abc"]
    or "use binary_data=True" not in found["PNG"]
    or str(found["FP32"]) != "[1.5, nan]"
    or found["FP16"] != [1.5]
)
PYTHON
"$folder/venv/bin/python" "$folder/try.py"

# text: ['abc']
# PNG: InferenceError: Failed to encode "b'\x89PNG\r\n\x1a\n'" using UTF-8. Please use binary_data=True, if you want to pass a byte array.
# FP32: [1.5, nan]
# FP16: [1.5]
# KServe 0.21.0
