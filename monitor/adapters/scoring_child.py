"""What runs in the scoring child: load one bundle, then answer rows with scores until the parent hangs up."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from monitor.adapters.child_channel import Channel
from monitor.adapters.features import to_features
from monitor.adapters.model_code import explain, load_code, load_model, predict
from monitor.domain.schema import Schema
from monitor.errors import MonitorError


def main() -> None:
    channel = Channel()
    first = channel.receive()
    if first is None:
        return
    order, _ = first
    code_file = Path(order["folder"]) / "code.py"
    try:
        model = load_model(load_code(code_file), Path(order["folder"]) / "weights", order["trust"])
        schema = Schema.from_dict(order["schema"])
        channel.send({})
        while (request := channel.receive()) is not None:
            rows = pa.ipc.open_stream(pa.py_buffer(request[1])).read_all()
            scores = predict(model, to_features(rows, schema), order["classes"])
            channel.send({"shape": list(scores.shape)}, scores.tobytes())
    except MonitorError as exc:
        channel.send({"error": type(exc).__name__, "text": str(exc)})
    except (Exception, SystemExit) as exc:
        channel.send({"error": "ModelError", "text": explain(exc, code_file)})


if __name__ == "__main__":
    main()
