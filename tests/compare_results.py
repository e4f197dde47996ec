"""Say what differs between two folders of results; ``provenance`` and what a clock measured are left aside.

Usage: python tests/compare_results.py BEFORE AFTER
"""

import json
import sys
from pathlib import Path


def read(folder: str) -> dict[tuple[str, str, str], object]:
    """Notebook, part and name -> what was recorded; only of notebooks that both folders have."""
    files = (
        f
        for f in Path(folder).glob("*.json")
        if ".live" not in f.name and all((Path(d) / f.name).is_file() for d in sys.argv[1:])
    )
    records = {f.stem: json.loads(f.read_text(encoding="utf-8")) for f in files}
    parts = [
        (name, key, part) for name, record in records.items() for key, part in record.items() if key != "provenance"
    ]
    return {
        (n, k, str(i)): v for n, k, part in parts for i, v in (part.items() if isinstance(part, dict) else [("", part)])
    }


if __name__ == "__main__":
    before, after = map(read, sys.argv[1:3])
    differ = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    print(*map(" ".join, differ), f"{len(before)} entries, {len(differ)} differ", sep="\n")
    sys.exit(bool(differ))
