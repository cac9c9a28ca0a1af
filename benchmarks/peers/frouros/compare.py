from __future__ import annotations

from frouros.detectors.data_drift import MMD, ChiSquareTest, KSTest

from benchmarks.workloads import split

PACKAGES = ("frouros", "scipy", "numpy", "pandas")


def univariate(reference):
    numeric, strings = split(reference)
    fitted = {}
    for name in (*numeric, *strings):
        fitted[name] = KSTest() if name in numeric else ChiSquareTest()
        fitted[name].fit(X=reference[name].to_numpy())
    return lambda current: [detector.compare(X=current[name].to_numpy())[0] for name, detector in fitted.items()]


def mmd(reference):
    from frouros.callbacks import PermutationTestDistanceBased

    test = PermutationTestDistanceBased(num_permutations=100, random_state=0, num_jobs=1, name="permutations")
    detector = MMD(callbacks=[test])
    detector.fit(X=reference.to_numpy())
    return lambda current: detector.compare(X=current.to_numpy())
