"""How fast the package is beside public peers: `python -m benchmarks` (see README.md in this folder).

One thread for everybody: the limits below are set before numpy, torch or numba are loaded.
"""

import os

for _limit in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_limit, "1")
