"""CBPE of NannyML on scores given as files, inside its own environment.

`python -m benchmarks.peers.nannyml.estimate FOLDER CHUNK_ROWS METRIC[,METRIC]`: FOLDER has reference.npz and
analysis.npz with `scores` (n, k) and `target` (n,). Prints JSON: the estimates of each metric, and CPU seconds.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from pathlib import Path

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import numpy as np
import pandas as pd

_BINARY = 2
_NAMES = {"roc_auc": "roc_auc", "accuracy": "accuracy", "f1": "f1"}


def frame(file: Path) -> pd.DataFrame:
    arrays = np.load(file)
    scores, target = arrays["scores"], arrays["target"]
    if scores.shape[1] == _BINARY:
        return pd.DataFrame({"p": scores[:, 1], "said": scores.argmax(axis=1), "true": target})
    table = pd.DataFrame(scores, columns=[f"p{k}" for k in range(scores.shape[1])])
    return table.assign(said=scores.argmax(axis=1).astype(str), true=target.astype(str))


def main() -> None:
    folder, rows, metrics = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(",")
    reference, analysis = frame(folder / "reference.npz"), frame(folder / "analysis.npz").drop(columns="true")
    binary = "p" in reference
    proba = "p" if binary else {str(k): f"p{k}" for k in range(reference.shape[1] - 2)}
    begun = time.process_time()
    estimator = nannyml.CBPE(
        y_pred_proba=proba,
        y_pred="said",
        y_true="true",
        problem_type="classification_binary" if binary else "classification_multiclass",
        metrics=[_NAMES[name] for name in metrics],
        chunk_size=rows,
    )
    estimator.fit(reference)
    fitted = time.process_time()
    table = estimator.estimate(analysis).filter(period="analysis").to_df()
    done = time.process_time()
    values = {name: table[(_NAMES[name], "value")].tolist() for name in metrics}
    json.dump(
        {"values": values, "fit": fitted - begun, "estimate": done - fitted, "version": nannyml.__version__}, sys.stdout
    )


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    out = os.fdopen(os.dup(1), "w")  # it may print
    os.dup2(2, 1)
    sys.stdout = out
    main()
    out.flush()
