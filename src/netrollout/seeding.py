"""Independent random streams from one seed and a path of names."""

from __future__ import annotations

import zlib

import numpy as np

SEEDS = 2**32
"""Seeds are whole numbers below this: what scikit-learn and Stable-Baselines3 take."""


def spawn(seed: int, *path: int | str) -> np.random.Generator:
    """Return the generator of the stream `path` under `seed`.

    Parameters
    ----------
    seed : int
        The seed of the experiment, 0 or greater.
    *path : int or str
        What the stream is for, such as ``"episodes", 3``.  Different paths give independent streams, and a stream does
        not depend on which others were made.

    Examples
    --------
    >>> int(spawn(1, "plant", 0).integers(100) - spawn(1, "plant", 0).integers(100))
    0
    """
    key = [zlib.crc32(part.encode()) if isinstance(part, str) else int(part) for part in path]
    return np.random.default_rng(np.random.SeedSequence(int(seed), spawn_key=tuple(key)))
