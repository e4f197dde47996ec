"""Files that can be fetched: where from, their sha256, and the folder they are kept in.

The folder is `$NETROLLOUT_DATA`, or the user's cache; a file lies in it as `<registry name>/<file name as published>`.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pooch
import requests
import yaml

from netrollout.places import near
from netrollout.provenance import sha256
from netrollout.types import InputError


@dataclass(frozen=True)
class Fetchable:
    """One file that can be fetched.

    Attributes
    ----------
    name : registry name
    collection : name of the collection it belongs to; `fetch` takes that too
    file : file name as published
    url : address of the file at the pinned `commit`; None for an extract, which is taken from a folder only
    sha256 : of the file
    size : bytes
    licence, citation : one line each
    """

    name: str
    collection: str
    file: str
    url: str | None
    commit: str
    sha256: str
    size: int
    licence: str
    citation: str

    @property
    def path(self) -> Path:
        """Where the file lies once it is fetched."""
        return data_folder() / self.name / self.file


def data_folder() -> Path:
    """Return the folder of fetched files."""
    given = os.environ.get("NETROLLOUT_DATA")
    return Path(given) if given else Path(pooch.os_cache("netrollout"))


@functools.cache
def registry() -> dict[str, Fetchable]:
    """Return registry name -> entry."""
    content = yaml.safe_load((resources.files("netrollout.data") / "registry.yml").read_text("utf-8"))
    return {
        name: Fetchable(name=name, collection=collection, **(origin | file))
        for collection, origins in content.items()
        for origin, files in ((source["origin"], source["files"]) for source in origins)
        for name, file in files.items()
    }


def select(name: str) -> list[Fetchable]:
    """Return the entry of that name, or all entries of the collection of that name."""
    entries = [entry for entry in registry().values() if name in (entry.name, entry.collection)]
    if not entries:
        known = [*dict.fromkeys(entry.collection for entry in registry().values()), *registry()]
        raise InputError(f"{name!r} is not in the registry; {near(name, known)}")
    return entries


def fetched(name: str) -> bool:
    """Tell whether the file, or every file of the collection, of that name is there."""
    return all(entry.path.is_file() for entry in select(name))


def fetch(name: str, source_folder: str | Path | None = None) -> list[Path]:
    """Fetch a file, or all files of a collection, unless they are there; the sha256 is enforced.

    Parameters
    ----------
    name : registry name or collection
    source_folder : take the files from there instead of the network, whatever they are called

    Returns
    -------
    list of Path
        where the files lie now

    Raises
    ------
    InputError
        unknown name; nothing in the folder matches; no network; another content than the registry says
    """
    entries = select(name)
    if source_folder is not None:
        _copy(entries, Path(source_folder))
    return [_download(entry) for entry in entries]


def _copy(entries: Iterable[Fetchable], folder: Path) -> None:
    """Copy files from a folder by their content."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    sizes = {entry.size for entry in entries}
    # Only files of a wanted size are read.
    candidates = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.stat().st_size in sizes]
    found = {sha256(file): file for file in candidates}
    for entry in entries:
        if entry.sha256 not in found:
            raise InputError(f"{folder}: no file there has the sha256 of {entry.name} ({entry.sha256[:12]}...)")
        entry.path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found[entry.sha256], entry.path)


def _download(entry: Fetchable) -> Path:
    if entry.url is None:
        if not entry.path.is_file() or sha256(entry.path) != entry.sha256:
            raise InputError(f"{entry.name} has no address to be fetched from; if you have the file, name its folder")
        return entry.path
    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(
            entry.url,
            known_hash=f"sha256:{entry.sha256}",
            fname=entry.file,
            path=entry.path.parent,
            downloader=pooch.HTTPDownloader(timeout=30),
        )
    except requests.RequestException as error:
        reason = "no answer from" if error.response is None else f"status {error.response.status_code} from"
        host = entry.url.split("/")[2]
        raise InputError(
            f"{entry.name} could not be fetched: {reason} {host}; if you have the file, name its folder"
        ) from None
    except ValueError:
        raise InputError(f"{entry.url}: its sha256 is not the one in the registry; nothing was kept") from None
    return entry.path
