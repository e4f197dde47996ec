"""Files: written whole or not at all, read with limits, never unpickled.

Nothing is lost by writing: a reader meets the old file or the new one, a link stays a link, and what is no regular file
(a device, a FIFO, a stream of this process) is written into and never replaced.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import io
import json
import os
import re
import secrets
import stat
import sys
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from netrollout.types import InputError

ABOUT = "about"
MOST_TEXT = 2**28  # bytes of a text that is read, unpacked
MOST_ARRAYS = 2**31  # bytes of the arrays of a file, unpacked
ADVICE = "give a file in a folder that exists and can be written"
_STREAMS = re.compile(r"/(?:dev|proc/self)/(?:fd/(\d+)|(stdout)|(stderr))")


def write_file(path: str | Path, content: bytes | str) -> None:
    """Write a file, whole or not at all.

    Parameters
    ----------
    path : path
        ``-`` is the standard output.
    content : bytes or str

    Raises
    ------
    InputError
        If it cannot be written; what stood there before still does.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        stream = _stream(path)
        if stream is None:
            _replace(Path(os.path.realpath(path)), data)
        else:
            sys.stdout.flush()  # what was printed before comes before
            with open(stream, "wb") as file:
                file.write(data)
    except OSError as error:
        raise InputError(f"{path}: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    """Say what went wrong, with advice where another file is the remedy."""
    told = error.strerror or str(error)
    full = isinstance(error, PermissionError | FileNotFoundError | IsADirectoryError | NotADirectoryError)
    return f"{told}; {ADVICE}" if full else f"cannot be written: {told}"


def _stream(path: str | Path) -> int | None:
    """Open what is written into as it is; None where a file is to be replaced or made."""
    if str(path) == "-":
        return os.dup(sys.stdout.fileno())
    here = Path(os.path.abspath(path))
    for _ in range(40):  # links are followed one by one: the last name of a stream is that of what it leads to
        if found := _STREAMS.fullmatch(str(here)):
            return os.dup(1 if found[2] else 2 if found[3] else int(found[1]))
        if not here.is_symlink():
            break
        here = Path(os.path.abspath(here.parent / os.readlink(here)))
    try:
        kind = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    return None if stat.S_ISREG(kind) or stat.S_ISDIR(kind) else os.open(path, os.O_WRONLY | os.O_APPEND)


def _replace(target: Path, data: bytes) -> None:
    """Write beside the target and put the new file into its place, with the permissions of the old one."""
    known = target.stat().st_mode if target.exists() else None
    if known is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    stem = f".{target.name[:100]}"
    _sweep(target.parent, stem)
    partial = target.with_name(f"{stem}.{secrets.token_hex(4)}.part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with open(descriptor, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # what has content and no lock is swept away
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if known is not None:
                os.chmod(partial, stat.S_IMODE(known))
            os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _sweep(folder: Path, stem: str) -> None:
    """Remove what writers of the same file left when they were killed; one that still writes holds its lock."""
    for left in folder.glob(f"{escape(stem)}.????????.part"):
        with suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if left.stat().st_size:
                left.unlink()


def check_target(path: str | Path) -> None:
    """Refuse, before the work begins, a file that could not be written when it is done.

    Raises
    ------
    InputError
        If it is a folder, or its folder does not exist or may not be written.
    """
    target = Path(os.path.realpath(path))
    if str(path) == "-":
        return
    if target.is_dir():
        raise InputError(f"{path}: is a folder; {ADVICE}")
    if not target.parent.is_dir():
        raise InputError(f"{path}: its folder does not exist; {ADVICE}")
    if not os.access(path if target.exists() else target.parent, os.W_OK):
        raise InputError(f"{path}: may not be written; {ADVICE}")


def lock(file: IO[Any], path: str | Path) -> None:
    """Keep other programs from writing an open file at the same time; the lock ends with the file or the program.

    Raises
    ------
    InputError
        If another program holds it.
    """
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"{path}: another program is writing it; wait until it ends, or give another name") from None


def read_file(path: str | Path, wanted: str = "", most: int = MOST_TEXT) -> bytes:
    """Read a file, unpacked where it is gzip.

    Parameters
    ----------
    path : path
    wanted : str
        What the file should be, for the messages.
    most : int
        Bytes at most, packed and unpacked.

    Raises
    ------
    InputError
        If it is not there, is no regular file (a FIFO or a device may have no end), is damaged or too large.
    """
    with _opened(path, wanted, most) as file:
        content = file.read()
    if not content.startswith(b"\x1f\x8b"):
        if content and str(path).endswith(".gz"):
            raise InputError(f"{path}: named .gz, but its content is not gzip; compress it or drop .gz from the name")
        return content
    try:
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(content)).read(most + 1)  # no further, whatever is packed
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise InputError(f"{path}: damaged or truncated gzip data; fetch or copy the file again") from None
    if len(unpacked) > most:
        raise InputError(f"{path}: unpacks to more than {most / 1e6:.0f} MB; at most that is read")
    return unpacked


def read_text(path: str | Path, wanted: str = "") -> str:
    """Read a text in UTF-8, as `read_file` does.

    Raises
    ------
    InputError
        Also if it is no text.
    """
    content = read_file(path, wanted)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InputError(f"{path}: binary data, not text in UTF-8{_tail(wanted)}")
    return text


def _tail(wanted: str) -> str:
    return f"; {wanted}" if wanted else ""


def _opened(path: str | Path, wanted: str, most: int) -> io.BufferedReader:
    """Open a regular file of a size that may be read."""
    try:
        found = os.stat(path)
        if stat.S_ISREG(found.st_mode) and found.st_size <= most:
            return open(path, "rb")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file{_tail(wanted)}") from None
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if stat.S_ISREG(found.st_mode):
        raise InputError(f"{path}: {found.st_size / 1e6:.0f} MB; at most {most / 1e6:.0f} MB are read")
    what = "a folder" if stat.S_ISDIR(found.st_mode) else "a device or a pipe"
    raise InputError(f"{path}: {what}, not a file{_tail(wanted)}")


def write_arrays(path: str | Path, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays and what they are (npz), as `write_file` does.

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
        If the file cannot be written.
    """
    buffer = io.BytesIO()
    np.savez(buffer, **{ABOUT: np.array(json.dumps(about)), **arrays})  # type: ignore[arg-type]
    write_file(path, buffer.getvalue())


def read_arrays(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what `write_arrays` wrote.

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
        If the file is not there, was not written by `write_arrays`, is too large, or holds a number that is not finite.
    """
    with _opened(path, f"expected {kind}", MOST_ARRAYS) as file:
        try:
            size = _unpacked_size(file)
            arrays = dict(np.load(file, allow_pickle=False)) if size <= MOST_ARRAYS else {}
            about = json.loads(str(arrays.pop(ABOUT))) if arrays else {}
            good = isinstance(about, dict) and all(isinstance(array, np.ndarray) for array in arrays.values())
        except Exception:  # a damaged file makes zipfile, zlib and numpy raise nearly all there is
            good = False
    if not good:
        raise InputError(f"{path} is not {kind}")
    if size > MOST_ARRAYS:
        raise InputError(f"{path}: unpacks to {size / 1e6:.0f} MB; at most {MOST_ARRAYS / 1e6:.0f} MB are read")
    for name, array in arrays.items():
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            raise InputError(f"{path}: {name} holds a number that is not finite; expected {kind}")
    return about, arrays


def _unpacked_size(file: io.BufferedReader) -> int:
    """Return the bytes that a zip says its parts have; of a part no more is unpacked than it says."""
    with zipfile.ZipFile(file) as parts:
        size = sum(part.file_size for part in parts.infolist())
    file.seek(0)
    return size
