"""Where things stand in the checkout."""

from pathlib import Path

PROFILES = ("quick", "full")


def executed(root: Path, profile: str, name: str) -> Path:
    """Name the executed notebook."""
    return root / "build" / profile / "notebooks" / f"{name}.ipynb"
