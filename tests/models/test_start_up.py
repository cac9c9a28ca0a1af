"""What a model's libraries cost the processes that train and score: seconds and memory, for every one of them."""

from __future__ import annotations

import subprocess
import sys

SAVE_AND_LOAD = """
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from monitor.adapters.model_code import load_code
from monitor.domain.model import TrainingData
from monitor.domain.schema import Schema

frame = pd.DataFrame({"x": np.arange(60.0)})
schema = Schema(features={"x": "numeric"})
data = TrainingData(features=frame, target=np.arange(60) % 2, classes=("a", "b"), schema=schema)
model = load_code(Path(sys.argv[1])).model
fitted = model.fit(data, init=None, config={"max_iter": 2}, rng=np.random.default_rng(0), progress=lambda *_: None)
fitted.save(Path(sys.argv[2]))
loaded = model.load(Path(sys.argv[2]))
assert np.array_equal(loaded.predict(frame), fitted.predict(frame))
assert "torch" not in sys.modules, "torch was imported for nothing"

import torch
from sklearn.externals.array_api_compat import torch as bridge

assert bridge.asarray([1.0]).equal(torch.ones(1))
"""


def test_gradient_boosting_does_not_bring_torch_along_and_does_not_keep_it_away(project, tmp_path):
    command = [sys.executable, "-c", SAVE_AND_LOAD, str(project / "models" / "gradient_boosting.py"), str(tmp_path)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
