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
    """Answer each message: an order with a `folder` loads that bundle, one with rows scores them with the last loaded.

    Loading another bundle into the same process saves the seconds that importing the model's libraries takes.
    """
    channel = Channel()
    code_file, private = Path("code.py"), True
    try:
        while (message := channel.receive()) is not None:
            order, body = message
            if "folder" in order:
                code_file = Path(order["folder"]) / "code.py"
                schema, classes = Schema.from_dict(order["schema"]), order["classes"]
                private = bool(schema.private)
                model = load_model(load_code(code_file), Path(order["folder"]) / "weights", order["trust"])
                channel.send({})
            else:
                rows = pa.ipc.open_stream(pa.py_buffer(body)).read_all()
                scores = predict(model, to_features(rows, schema), classes)
                channel.send({"shape": list(scores.shape)}, scores.tobytes())
    except MonitorError as exc:
        channel.send({"error": type(exc).__name__, "text": str(exc)})
    except (Exception, SystemExit) as exc:
        channel.send({"error": "ModelError", "text": explain(exc, code_file, private=private)})


if __name__ == "__main__":
    main()
