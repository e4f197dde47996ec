"""Arrays on disk with a description of them: npz files that are written whole and never unpickled."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netrollout.types import InputError

ABOUT = "about"


def write(path: str | Path, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays and what they are, whole or not at all: a reader meets the old file or the new one.

    Parameters
    ----------
    path : path
        With the ending it should have.
    about : mapping
        What JSON can say.
    arrays : mapping of str to array
        Of numbers; no name is ``about``.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be written.
    """
    target = Path(path)
    partial = target.with_name(target.name + ".part")
    try:
        with open(partial, "wb") as file:
            np.savez(file, **{ABOUT: np.array(json.dumps(about)), **arrays})  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"{target}: {error.strerror}; give a file in a folder that exists") from None


def read(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what `write` wrote.

    Parameters
    ----------
    path : path
    kind : str
        What the file should hold, for the messages, such as ``a saved table``.

    Returns
    -------
    about : dict
    arrays : dict of str to array

    Raises
    ------
    InputError
        If the file is not there or was not written by `write`.
    """
    try:
        with open(path, "rb") as file:  # np.load would leave a damaged file open
            arrays = dict(np.load(file, allow_pickle=False))
        about = json.loads(str(arrays.pop(ABOUT)))
        if not isinstance(about, dict):
            raise ValueError
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected {kind}") from None
    except (KeyError, TypeError, ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error):
        raise InputError(f"{path} is not {kind}") from None
    return about, arrays
