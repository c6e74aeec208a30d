"""An export as a model of KServe's Python server.

The v1 protocol takes the bodies of TensorFlow Serving's REST API. In the v2
protocol a request names the signature in its parameters, and text in JSON is
base64, because bytes of images are no text.
"""

import asyncio
import sys
import uuid

import numpy as np

from nae_tf.serving.rest_requests import answer_rest, bytes_of_base64
from nae_tf.serving.signature_calls import BadRequestError, SignatureCalls

_DATATYPES = {"f": "FP", "i": "INT", "u": "UINT"}


def import_kserve():
    """Import KServe.

    Raises:
        ModuleNotFoundError: if it is missing; the message says what to install.
    """
    arguments = sys.argv
    # It reads the command line when it is imported, and knows other flags.
    sys.argv = arguments[:1]
    try:
        import kserve
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"KServe's server is needed ({error}); pip install "
            "'nae-tf[kserve]', best into an environment of its own."
        ) from error
    finally:
        sys.argv = arguments
    return kserve


def make_kserve_model(name: str, path, trust_model: bool = False):
    """Load an export as a `kserve.Model`.

    Args:
        name: name of the model in URLs.
        path: directory of a version, such as runs/digits/export/1.
        trust_model: as for `ExportedModel`.

    Returns:
        A model that is ready, for `kserve.ModelServer().start([model])`.

    Raises:
        FileNotFoundError: if there is no SavedModel.
        ModuleNotFoundError: if KServe is not installed.
        ValueError: if the export is damaged or another kind of model.
    """
    import_kserve()
    import kserve

    calls = SignatureCalls(path, trust_model)

    class ExportOfNae(kserve.Model):
        """All signatures of an export, by the protocols v1 and v2."""

        async def predict(self, payload, headers=None, response_headers=None):
            """Answer a request in a thread, so that others go on."""
            del headers, response_headers
            is_v2 = isinstance(payload, kserve.InferRequest)
            answer = self._answer_v2 if is_v2 else self._answer_v1
            try:
                return await asyncio.to_thread(answer, payload)
            except BadRequestError as error:
                raise kserve.errors.InvalidInput(str(error)) from error

        def validate(self, payload):
            """Leave the checks to `predict`, which refuses in one line."""
            return payload

        def get_input_types(self):
            """Return the inputs of the default signature."""
            return _metadata(calls.inputs())

        def get_output_types(self):
            """Return the outputs of the default signature."""
            return _metadata(calls.outputs())

        def _answer_v1(self, payload):
            return answer_rest(calls, payload)

        def _answer_v2(self, request):
            inputs = {given.name: _array(given) for given in request.inputs}
            if len(inputs) < len(request.inputs):
                raise BadRequestError("expected every input once.")
            outputs = calls.answer(_signature(request), inputs)
            return kserve.InferResponse(
                # KServe sends no response without one, though requests need
                # none.
                response_id=request.id or str(uuid.uuid4()),
                model_name=self.name,
                infer_outputs=[
                    _infer_output(kserve, name, value)
                    for name, value in outputs.items()
                ],
                requested_outputs=request.request_outputs,
                use_binary_outputs=request.use_binary_outputs,
            )

    model = ExportOfNae(name)
    model.ready = True
    return model


def _signature(request):
    parameters = request.parameters or {}
    name = parameters.get("signature_name", "")
    # A message of Protocol Buffers, where the request came by gRPC.
    name = getattr(name, "string_param", name)
    if not isinstance(name, str):
        raise BadRequestError("expected a signature_name in quotes.")
    return name


def _array(given):
    """Return an input of a v2 request as an array of its shape."""
    try:
        # Raw contents, which gRPC carries, are no text.
        if given.datatype == "BYTES" and given.data:
            contents = [
                text if isinstance(text, bytes) else bytes_of_base64(text)
                for text in np.ravel(np.array(given.data, object))
            ]
            return np.array(contents, object).reshape(given.shape)
        return given.as_numpy()
    except BadRequestError:
        raise
    except Exception as error:
        # The many errors that NumPy and KServe have for data that do not fit.
        raise BadRequestError(
            f"{given.name}: data of datatype {given.datatype} and shape "
            f"{list(given.shape)} cannot be read: {error}"
        ) from error


def _infer_output(kserve, name, value):
    output = kserve.InferOutput(
        name=name, shape=list(value.shape), datatype=_datatype(value.dtype)
    )
    output.set_data_from_numpy(value, binary_data=False)
    return output


def _datatype(dtype):
    """Return the name that the v2 protocol has for a dtype of NumPy."""
    if dtype.kind == "b":
        return "BOOL"
    if dtype.kind in _DATATYPES:
        return f"{_DATATYPES[dtype.kind]}{8 * dtype.itemsize}"
    return "BYTES"


def _metadata(specs):
    return [
        {
            "name": name,
            "datatype": _datatype(np.dtype(spec.dtype.as_numpy_dtype)),
            "shape": [-1 if size is None else size for size in spec.shape],
        }
        for name, spec in specs.items()
    ]
