from __future__ import annotations

import numpy as np

from benchmarks.workloads import split
from monitor import Reference, Schema
from monitor.domain.multivariate import compare_rows
from monitor.stats.multivariate.mmd import mmd as mmd_of

PACKAGES = ("driftloop", "numpy", "scipy", "pandas")


def univariate(reference):
    numeric, _ = split(reference)
    held = set(numeric)
    schema = Schema(features={name: "numeric" if name in held else "categorical" for name in reference})
    fitted = Reference.fit(reference, schema)
    return lambda current: fitted.compare(fitted.profile(current), ["ks", "chi2"])


def mmd(reference):
    ref = reference.to_numpy()
    return lambda current: mmd_of(ref, current.to_numpy(), np.random.default_rng(0), permutations=100)


def classifier(reference):
    schema = Schema(features=dict.fromkeys(reference, "numeric"))
    return lambda current: compare_rows(reference, current, schema, ["classifier"], rng=np.random.default_rng(0))
