"""Serve an export over HTTP and gRPC by KServe's Python server.

    nae-tf serve --model=runs/digits/export/1
    curl -d '{"instances": [[[[0.0], ...], ...]]}' \
        http://localhost:8080/v1/models/nae:predict

The server answers KServe's protocols v1, which is the REST API of TensorFlow
Serving, and v2, until SIGINT or SIGTERM ends it. It needs
`pip install "nae-tf[kserve]"`.
"""

import socket

from absl import flags

from nae_tf.runs.command_line import run_command
from nae_tf.runs.progress import print_status
from nae_tf.serving.input_flags import define_model_flags
from nae_tf.serving.kserve_model import import_kserve, make_kserve_model


def define_flags():
    """Define the flags of the server."""
    define_model_flags()
    flags.DEFINE_string("name", "nae", "The name of the model in URLs.")
    flags.DEFINE_integer(
        "http_port",
        8080,
        "The port of HTTP, on all interfaces of the machine.",
        lower_bound=1,
        upper_bound=65_535,
    )
    flags.DEFINE_integer(
        "grpc_port",
        8081,
        "The port of gRPC, on all interfaces of the machine; 0 turns gRPC off.",
        lower_bound=0,
        upper_bound=65_535,
    )


def main():
    """Serve the export that --model names until a signal ends it."""
    options = flags.FLAGS
    kserve = import_kserve()
    for flag in ("http_port", "grpc_port"):
        _check_port(flag, options[flag].value)
    model = make_kserve_model(options.name, options.model, options.trust_model)
    server = kserve.ModelServer(
        http_port=options.http_port,
        grpc_port=options.grpc_port,
        enable_grpc=options.grpc_port > 0,
        enable_latency_logging=False,
    )
    _refuse_in_one_line()
    print_status(
        f"serving {options.model} at "
        f"http://localhost:{options.http_port}/v1/models/{options.name}:predict"
    )
    server.start([model])


def _refuse_in_one_line():
    """Refuse malformed requests as other bad ones; KServe sends lists."""
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from kserve.model_server import app

    async def refuse(request, error):
        del request
        first = error.errors()[0]
        place = "/".join(map(str, first["loc"]))
        return JSONResponse({"error": f"{place}: {first['msg']}."}, 400)

    app.add_exception_handler(RequestValidationError, refuse)


def _check_port(flag, port):
    """Refuse a port that is taken; the server would log it, and stay."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("", port))
        except OSError as error:
            raise OSError(
                f"port {port} cannot be used ({error.strerror}); choose "
                f"another --{flag}."
            ) from error


if __name__ == "__main__":
    run_command(main, define_flags)
