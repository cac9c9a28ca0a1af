"""Handwritten digits as a scanner delivers them: real images, and a scanner that may be faulty.

The images are the 1,797 of the Optical Recognition of Handwritten Digits data set that scikit-learn ships, 8×8 pixels
of 0..16, here 0..255. One half, chosen at random, is for training; batches are drawn from the other half only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import ndimage
from sklearn.datasets import load_digits

CLASSES = 10
_SIDE = 8
_JITTER_PIXELS = 0.3  # no sheet lies twice in the same place: keeps rows drawn from one image from being equal
_SCANNER_NOISE = 40.0  # standard deviation in grey values, 0..255: a cheap scanner

Images = npt.NDArray[np.float64]  # (n, 8, 8), 0..255
Labels = npt.NDArray[np.int64]  # (n,), 0..9


@dataclass(frozen=True, slots=True)
class Scanner:
    """How a scanner spoils what it sees; the default one is in order."""

    rotation: float = 0.0  # degrees
    blur: float = 0.0  # standard deviation in pixels
    noise: float = _SCANNER_NOISE


@dataclass(frozen=True, slots=True)
class Digits:
    """Images and what they show."""

    images: Images
    labels: Labels

    def draw(self, rows: int, rng: np.random.Generator, shares: Sequence[float] | None = None) -> Digits:
        """Draw with replacement: first a digit, by `shares` (sum 1; None: all alike), then one of its images."""
        wanted = rng.choice(CLASSES, size=rows, p=shares)
        chosen = np.array([rng.choice(np.flatnonzero(self.labels == digit)) for digit in wanted], dtype=np.int64)
        return Digits(self.images[chosen], self.labels[chosen])


def halves(rng: np.random.Generator) -> tuple[Digits, Digits]:
    """Split the data set at random into images for training and images for batches."""
    images, labels = load_digits(return_X_y=True)
    order = rng.permutation(len(labels))
    images, labels = images[order].reshape(-1, _SIDE, _SIDE) * (255.0 / 16.0), labels[order].astype(np.int64)
    middle = len(labels) // 2
    return Digits(images[:middle], labels[:middle]), Digits(images[middle:], labels[middle:])


def scan(images: Images, scanner: Scanner, rng: np.random.Generator) -> list[bytes]:
    """Return 64 bytes per image, row by row."""
    seen = np.empty_like(images)
    for k, image in enumerate(images):
        turned = ndimage.rotate(image, scanner.rotation, reshape=False, order=1) if scanner.rotation else image
        seen[k] = ndimage.shift(turned, rng.uniform(-_JITTER_PIXELS, _JITTER_PIXELS, 2), order=1)
    if scanner.blur:
        seen = ndimage.gaussian_filter(seen, (0.0, scanner.blur, scanner.blur))
    seen += rng.normal(0.0, scanner.noise, seen.shape)
    return [image.tobytes() for image in np.clip(np.rint(seen), 0, 255).astype(np.uint8)]


def table(prefix: str, labels: Labels, images: list[bytes], *, start: datetime, end: datetime) -> pa.Table:
    """Columns `id` (`prefix-0000` …), `scanned_at` (evenly from `start` to `end`), `image`, `digit`."""
    rows = len(labels)
    step = (end - start) / max(rows - 1, 1)
    return pa.table(
        {
            "id": [f"{prefix}-{k:04d}" for k in range(rows)],
            "scanned_at": pa.array([start + k * step for k in range(rows)], pa.timestamp("us", tz="UTC")),
            "image": pa.array(images, pa.binary()),
            "digit": [str(digit) for digit in labels],
        }
    )
