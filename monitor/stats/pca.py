"""A few principal components of image or vector columns, so that they can be watched as ordinary numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]

COMPONENTS = 8
_MAX_ROWS = 20_000  # more rows than these hardly move the first few components
_MAX_SIDE = 1024  # largest eigenproblem solved: a matter of a tenth of a second


@dataclass(frozen=True, slots=True)
class Pca:
    """`center` (d,), `components` (k, d) with orthonormal rows, k ≤ 8, the largest variance first."""

    center: Matrix
    components: Matrix

    @classmethod
    def of(cls, rows: Matrix, components: int = COMPONENTS) -> Pca:
        """Fit on `rows` (n, d); rows with NaN are left out. No complete row: no component, centre 0.

        Deterministic: of too many rows evenly spaced ones are taken. The eigenproblem is that of the smaller side,
        (d, d) or (n, n), the latter with at most 1,024 rows.
        """
        width = rows.shape[1]
        rows = rows[~np.isnan(rows).any(axis=1)]
        rows = _thin(rows, _MAX_ROWS if width <= _MAX_SIDE else _MAX_SIDE)
        if rows.shape[0] == 0:
            return cls(np.zeros(width, np.float32), np.zeros((0, width), np.float32))
        center = rows.mean(axis=0, dtype=np.float64)
        centred = rows - center
        if width <= rows.shape[0]:
            vectors = _largest(centred.T @ centred, components)
        else:
            vectors = centred.T @ _largest(centred @ centred.T, components)
            vectors /= np.maximum(np.linalg.norm(vectors, axis=0), np.finfo(np.float64).tiny)
        return cls(center.astype(np.float32), np.ascontiguousarray(vectors.T, dtype=np.float32))

    def reduce(self, rows: Matrix) -> dict[str, npt.NDArray[np.float64]]:
        """Per row: scores `pc1`…`pck`, `residual` (root mean square of what they leave) and `mean` of the cells.

        Shapes (n,); NaN for a row with NaN. The signs of the scores are arbitrary but fixed by the fit.
        """
        scores = (rows - self.center) @ self.components.T
        # Row blocks keep the reconstruction from doubling the memory of a large batch.
        residual = np.concatenate([self._residual(rows[i : i + 4096], scores[i : i + 4096]) for i in _starts(rows)])
        reduced = {f"pc{i + 1}": scores[:, i].astype(np.float64) for i in range(scores.shape[1])}
        return {**reduced, "residual": residual, "mean": rows.mean(axis=1, dtype=np.float64)}

    def _residual(self, rows: Matrix, scores: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        left = rows - self.center - scores @ self.components
        return np.sqrt(np.mean(np.square(left), axis=1, dtype=np.float64))


def _starts(rows: Matrix) -> range:
    return range(0, max(rows.shape[0], 1), 4096)


def _thin(rows: Matrix, most: int) -> Matrix:
    if rows.shape[0] <= most:
        return rows
    return rows[np.linspace(0, rows.shape[0] - 1, most).round().astype(np.int64)]


def _largest(gram: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    """Eigenvectors, as columns, of the `count` largest eigenvalues that are not zero up to rounding."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > max(float(values[-1]), 0.0) * 1e-10
    return vectors[:, kept][:, ::-1][:, :count]
