"""Where time goes: the operations of TensorFlow that a function runs."""

import collections
import pathlib
import re
import tempfile
from collections.abc import Callable

# "while/body/conv2d/Conv2D:_MklConv2D#with=attributes#", a prefix of oneDNN's.
_OPERATION = re.compile(r"[^:]+:(_Mkl(Native)?)?(?P<kind>\w+)(#|$)")
# They wait for what they call.
_CALLS = {
    *("PartitionedCall", "StatefulPartitionedCall", "StatelessWhile"),
    *("While", "If", "StatelessIf", "Case", "StatelessCase", "RemoteCall"),
}


def operation_seconds(function: Callable[[], object]) -> dict[str, float]:
    """Profile a call on a CPU.

    Args:
        function: it runs once; trace and warm it up before.

    Returns:
        Seconds of all threads together by kind of operation, longest first.
        Operations that only wait for others are left out.
    """
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            function()
        [file] = pathlib.Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    picoseconds: collections.Counter = collections.Counter()
    for plane in space.planes:
        if plane.name != "/host:CPU":
            continue
        for line in plane.lines:
            for event in line.events:
                found = _OPERATION.match(
                    plane.event_metadata[event.metadata_id].name
                )
                if found and found["kind"] not in _CALLS:
                    picoseconds[found["kind"]] += event.duration_ps
    return {
        kind: duration * 1e-12 for kind, duration in picoseconds.most_common()
    }
