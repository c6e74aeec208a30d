"""A stand-in for TensorFlow Serving, as a process of its own.

    python serving_stand_in.py EXPORT_VERSION_DIR

It loads a SavedModel into a session, as the server does, and answers Predict
calls of PredictionService (gRPC) and the REST predict API on free loopback
ports, which it prints. It imports TensorFlow and nothing of nae_tf, and has no
batching and no other API.
"""

import base64
import concurrent.futures
import http.server
import json
import pathlib
import sys

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.apis import (
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

MODEL = "nae"


class BadRequestError(Exception):
    """The request cannot be answered; the message says why."""


class Model:
    def __init__(self, path):
        self.session = tf.compat.v1.Session(graph=tf.Graph())
        with self.session.graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(
                self.session, ["serve"], str(path)
            )
        self.signatures = {
            name: signature
            for name, signature in meta_graph.signature_def.items()
            if not name.startswith("__")
        }
        self.callables = {
            name: self._callable(signature)
            for name, signature in self.signatures.items()
        }

    def _callable(self, signature):
        # Not `make_callable`: it checks shapes, which the server does not.
        call = config_pb2.CallableOptions()
        call.feed.extend(info.name for info in signature.inputs.values())
        call.fetch.extend(info.name for info in signature.outputs.values())
        return self.session._make_callable_from_options(call)

    def predict(self, signature_name, inputs):
        signature_name = signature_name or "serving_default"
        if signature_name not in self.signatures:
            raise BadRequestError(f"no signature {signature_name!r}")
        signature = self.signatures[signature_name]
        if set(inputs) != set(signature.inputs):
            raise BadRequestError(
                f"expected inputs {sorted(signature.inputs)}, received "
                f"{sorted(inputs)}"
            )
        fed = []
        for name, info in signature.inputs.items():
            dtype = tf.as_dtype(info.dtype).as_numpy_dtype
            try:
                fed.append(np.asarray(inputs[name], dtype))
            except (ValueError, TypeError, OverflowError) as error:
                raise BadRequestError(f"{name}: {error}") from error
        try:
            outputs = self.callables[signature_name](*fed)
        except tf.errors.OpError as error:
            raise BadRequestError(error.message) from error
        return dict(zip(signature.outputs, outputs, strict=True))

    def warm_up(self, path):
        """Answer the warm-up requests, as the server does; return how many."""
        requests = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
        for record in requests:
            log = prediction_log_pb2.PredictionLog.FromString(record)
            predict_request(self, log.predict_log.request)
        return len(requests)


def predict_request(model, request):
    inputs = {
        name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()
    }
    return model.predict(request.model_spec.signature_name, inputs)


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model):
        self.model = model

    def Predict(self, request, context):
        try:
            outputs = predict_request(self.model, request)
        except BadRequestError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        response = predict_pb2.PredictResponse()
        for name, value in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response


def decode_base64(value):
    """JSON values with {"b64": ...} replaced by bytes."""
    if isinstance(value, dict) and set(value) == {"b64"}:
        return base64.b64decode(value["b64"], validate=True)
    if isinstance(value, list):
        return [decode_base64(item) for item in value]
    return value


def unnamed_if_single(outputs):
    """Outputs as JSON values; the server does not name a single one."""
    values = {name: value.tolist() for name, value in outputs.items()}
    return values if len(values) > 1 else next(iter(values.values()))


class RestHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: Model

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            if self.path != f"/v1/models/{MODEL}:predict":
                raise BadRequestError(f"no such path {self.path!r}")
            self.reply(200, self.answer(json.loads(body)))
        except (BadRequestError, ValueError) as error:
            self.reply(400, {"error": str(error)})

    def answer(self, request):
        signature = request.get("signature_name", "")
        if "inputs" in request:
            inputs = {
                name: decode_base64(value)
                for name, value in request["inputs"].items()
            }
            outputs = self.model.predict(signature, inputs)
            return {"outputs": unnamed_if_single(outputs)}
        rows = request["instances"]
        names = rows[0].keys()
        inputs = {
            name: [decode_base64(row[name]) for row in rows] for name in names
        }
        outputs = self.model.predict(signature, inputs)
        return {
            "predictions": [
                unnamed_if_single({k: v[i] for k, v in outputs.items()})
                for i in range(len(rows))
            ]
        }

    def reply(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        del arguments


class RestServer(http.server.ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True


def main():
    path = pathlib.Path(sys.argv[1])
    model = Model(path)
    warmed_up = model.warm_up(
        path / "assets.extra" / "tf_serving_warmup_requests"
    )
    grpc_server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(model), grpc_server
    )
    grpc_port = grpc_server.add_insecure_port("127.0.0.1:0")
    grpc_server.start()
    RestHandler.model = model
    rest = RestServer(("127.0.0.1", 0), RestHandler)
    foreign = [name for name in sys.modules if name.startswith("nae_tf")]
    ready = {
        "grpc_port": grpc_port,
        "rest_port": rest.server_port,
        "warmed_up": warmed_up,
        "foreign_modules": foreign,
    }
    print(json.dumps(ready), flush=True)
    rest.serve_forever()


if __name__ == "__main__":
    main()
