"""Bodies of TensorFlow Serving's REST API, as arrays and back.

    {"signature_name": "score", "instances": [{"examples": [0.1, 0.2]}]}
    {"signature_name": "score", "inputs": {"examples": [[0.1, 0.2]]}}

Rows (`instances`) are answered by rows (`predictions`), columns (`inputs`) by
columns (`outputs`). Where there is one input or one output, its name may be
left out, and is. Bytes are {"b64": base64}.
"""

import base64
import binascii
import dataclasses
import json
from collections.abc import Mapping

from nae_tf.serving.signature_calls import BadRequestError, SignatureCalls


@dataclasses.dataclass(frozen=True)
class RestRequest:
    """A request to a signature.

    Attributes:
        signature: name of the signature; "" is the default one.
        inputs: nested lists by name of the input.
        by_rows: whether the request came by rows.
    """

    signature: str
    inputs: Mapping
    by_rows: bool


def answer_rest(calls: SignatureCalls, body) -> dict:
    """Answer a request.

    Args:
        calls: signatures of an export.
        body: JSON, as text or decoded.

    Returns:
        A dict for JSON: "predictions" or "outputs".

    Raises:
        BadRequestError: if the request is malformed, or no request to the
            export.
    """
    request = read_request(calls, body)
    outputs = calls.answer(request.signature, request.inputs)
    columns = {name: value.tolist() for name, value in outputs.items()}
    if not request.by_rows:
        return {"outputs": _unnamed_if_single(columns)}
    if any(not isinstance(column, list) for column in columns.values()):
        raise BadRequestError("the outputs have no rows; ask by 'inputs'.")
    rows = [
        dict(zip(columns, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]
    return {"predictions": [_unnamed_if_single(row) for row in rows]}


def read_request(calls: SignatureCalls, body) -> RestRequest:
    """Read the body of a request.

    Args:
        calls: signatures of an export.
        body: JSON, as text or decoded.

    Raises:
        BadRequestError: if the request is malformed.
    """
    if isinstance(body, bytes | str):
        try:
            body = json.loads(body)
        except ValueError as error:
            raise BadRequestError(f"the body is no JSON: {error}") from error
    if not isinstance(body, Mapping):
        raise BadRequestError("expected a JSON object.")
    signature = body.get("signature_name", "")
    if not isinstance(signature, str):
        raise BadRequestError("expected a signature_name in quotes.")
    if ("instances" in body) == ("inputs" in body):
        raise BadRequestError("expected either 'instances' or 'inputs'.")
    names = list(calls.inputs(signature))
    by_rows = "instances" in body
    if by_rows:
        inputs = _columns(body["instances"], names)
    else:
        inputs = _named(body["inputs"], names)
    return RestRequest(
        signature,
        {name: decode_base64(value) for name, value in inputs.items()},
        by_rows,
    )


def decode_base64(value):
    """Return JSON values with {"b64": ...} replaced by bytes.

    Args:
        value: decoded JSON.

    Raises:
        BadRequestError: if it is not base64.
    """
    if isinstance(value, list):
        if value and isinstance(value[0], list | Mapping):
            return [decode_base64(item) for item in value]
        return value
    if isinstance(value, Mapping):
        if set(value) != {"b64"}:
            raise BadRequestError('expected numbers or {"b64": base64}.')
        return bytes_of_base64(value["b64"])
    return value


def bytes_of_base64(text) -> bytes:
    """Return the bytes that a text in base64 stands for.

    Args:
        text: the text.

    Raises:
        BadRequestError: if it is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise BadRequestError(f"expected base64: {error}.") from error


def _columns(rows, names):
    """Return the columns of rows by the name of the input."""
    if not isinstance(rows, list) or not rows:
        raise BadRequestError("expected 'instances' to be a list of rows.")
    named = [_named(row, names) for row in rows]
    first = set(named[0])
    if any(set(row) != first for row in named):
        raise BadRequestError("expected the same names in all instances.")
    return {name: [row[name] for row in named] for name in named[0]}


def _named(value, names):
    """Return inputs by name; a single one may come without its name."""
    if isinstance(value, Mapping) and set(value) != {"b64"}:
        return value
    if len(names) != 1:
        raise BadRequestError(f"expected the inputs {names} by their names.")
    return {names[0]: value}


def _unnamed_if_single(values):
    return values if len(values) > 1 else next(iter(values.values()))
