from __future__ import annotations

import numpy as np
from alibi_detect.cd import ChiSquareDrift, ClassifierDrift, KSDrift, MMDDrift

from benchmarks.workloads import split

PACKAGES = ("alibi-detect", "torch", "scipy", "numpy", "pandas")


def univariate(reference):
    numeric, strings = split(reference)
    of_numbers = KSDrift(reference[numeric].to_numpy(), p_val=0.05)
    of_strings = ChiSquareDrift(reference[strings].to_numpy(), p_val=0.05) if strings else None

    def compare(current):
        found = [of_numbers.predict(current[numeric].to_numpy())]
        if of_strings is not None:
            found.append(of_strings.predict(current[strings].to_numpy()))
        return found

    return compare


def mmd(reference):
    detector = MMDDrift(reference.to_numpy(np.float32), backend="pytorch", n_permutations=100)
    return lambda current: detector.predict(current.to_numpy(np.float32))


def classifier(reference):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=1000)
    detector = ClassifierDrift(
        reference.to_numpy(np.float32), model, backend="sklearn", preds_type="probs", n_folds=5, binarize_preds=False
    )
    return lambda current: detector.predict(current.to_numpy(np.float32))
