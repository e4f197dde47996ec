"""What a notebook found, written so that anyone can check it: numbers with intervals, tables, claims, provenance.

A notebook writes one record::

    results = Results("05_the_service_changes", profile, dict(seed=seed, timesteps=timesteps))
    results.value("gain", 37.2, low=35.9, high=38.6, n=50, how="bootstrap over 50 visits")
    results.write()

and the book reads it back through the role ``{res}`05_the_service_changes/gain:interval```.  The bytes of
``results/<profile>/<notebook>.json`` depend on the inputs only: keys are sorted, floats keep twelve significant digits,
the date is the commit's.  What a clock or a live system measured goes to ``<notebook>.live.json``, on which nothing
depends.  Only the workflow (`make notebooks`) writes there; a notebook that is run by hand writes ``results/mine/``.
"""

import hashlib
import json
import math
import os
import re
import time
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from netrollout.findings import asked, fill, holds
from netrollout.provenance import deviations, provenance, repository, sha256
from netrollout.store import read_text, write_file
from netrollout.types import InputError

SCHEMA = 1
ASIDE = "NETROLLOUT_RESULTS"  # names the file that the workflow has a notebook write
MINE = "mine"  # the folder below results/ that runs by hand write to, whatever their profile; git ignores it
ROUNDING = 1e-9  # relative; how far a value may lie outside an interval that is a point
VERDICTS = {
    "reproduced": "the same data and the same algorithm gave what was published",
    "replicated": "another system, measured by us, showed the same",
    "algorithm differs": "what the published code runs is not what its text says, or what we run",
    "not reproduced": "we looked and found otherwise: the interval of our difference leaves the claim out",
    "undecided": "we looked, and the interval of our difference holds both the claim and its contrary",
    "refuted": "it contradicts the published data or a proof",
    "not testable here": "the data or the machinery that a test needs are not available",
}


class Results:
    """The record of one notebook run.

    Parameters
    ----------
    notebook : str
        Name of the notebook file without its ending, e.g. ``05_the_service_changes``.
    profile : str
        ``quick`` or ``full``; chooses the folder below ``results/``.
    parameters : mapping
        The values of the parameters cell.
    data : mapping of str to path, optional
        The files that were read, by the name under which the book shows them; their sha256 is recorded.

    Attributes
    ----------
    record : dict
        What `write` writes; figures name it in their provenance line.  Parameters that are not those of the profile
        stand under the key ``differs``.

    Raises
    ------
    InputError
        The workflow runs a notebook of another name, or a quick run by hand has the full budgets.
    """

    def __init__(
        self, notebook: str, profile: str, parameters: Mapping[str, Any], data: Mapping[str, Path | str] | None = None
    ) -> None:
        self.notebook, self.profile = notebook, profile
        if self._file().stem != notebook:
            raise InputError(f"{self._file().stem} calls its results {notebook!r}; it must call them by its own name")
        self._began = time.monotonic()
        self.record: dict[str, Any] = {
            "schema": SCHEMA,
            "notebook": notebook,
            "profile": profile,
            "parameters": dict(parameters),
            "provenance": provenance({name: sha256(path) for name, path in (data or {}).items()}),
            "values": {},
            "tables": {},
            "claims": [],
            "findings": {},
            "not_run": {},
        }
        differs = deviations(notebook, profile, json.loads(encode(self.record["parameters"])))
        self.record |= {"differs": differs} if differs else {}
        self._live: dict[str, Any] = {"values": {}, "tables": {}}

    def value(
        self,
        name: str,
        value: Any,
        low: float | None = None,
        high: float | None = None,
        level: float = 0.95,
        n: int | None = None,
        unit: str | None = None,
        how: str | None = None,
        live: bool = False,
    ) -> None:
        """Record one value, with its interval where it has one.

        Parameters
        ----------
        name : str
            Letters, digits, ``_``, ``-`` and ``.``; the book cites it.
        value : float, int, str or bool
        low, high : float, optional
            Ends of the interval at confidence `level`; both or neither.
        n : int, optional
            Number of independent units behind the interval.
        unit : str, optional
        how : str, optional
            How the interval was found, e.g. ``hierarchical bootstrap over 10 training seeds x 20 episodes``.
        live : bool
            Measured by a clock or on a live system: kept out of the compared file.

        Raises
        ------
        InputError
            The name is none or taken by another value, the interval has one end, its ends are the wrong way round, or
            the value lies outside it.
        """
        if not name or not all(part.isalnum() or part in "_-." for part in name):
            raise InputError(f"value name {name!r} must consist of letters, digits, '_', '-' and '.'")
        if (low is None) != (high is None):
            raise InputError(f"value {name!r} has one end of an interval only; give both low and high, or neither")
        entry = {"value": value, "low": low, "high": high, "n": n, "unit": unit, "how": how}
        if low is not None:
            entry["level"] = level
            _check_interval(name, value, low, high)
        entry = {key: item for key, item in entry.items() if item is not None or key == "value"}
        known = self.record["values"] | self._live["values"]
        if name in known and encode(known[name]) != encode(entry):  # a cell that is run again may say it again
            raise InputError(f"value {name!r} is recorded already, as {known[name]['value']}; give another name")
        (self._live if live else self.record)["values"][name] = entry

    def table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], live: bool = False) -> None:
        """Record a table; every row has one entry per column."""
        lines = [list(row) for row in rows]
        for i, line in enumerate(lines):
            if len(line) != len(columns):
                raise InputError(f"table {name!r}, row {i}: {len(line)} entries for {len(columns)} columns")
        (self._live if live else self.record)["tables"][name] = {"columns": list(columns), "rows": lines}

    def claim(
        self,
        id: str,
        source: str,
        statement: str,
        published: str,
        verdict: str,
        because: str,
        measured: str | None = None,
    ) -> None:
        """Record a published claim and what became of it here.

        Parameters
        ----------
        id : str
            E.g. ``noms2024-as-effective-as-retraining``.
        source : str
            Key in ``book/references.bib``.
        statement, published : str
            What is claimed, in our words, and the published value.
        verdict : str
            One of `VERDICTS`.
        because : str
            One sentence that defends the verdict.
        measured : str, optional
            Name of a value of this record.

        Raises
        ------
        InputError
            The value, the verdict or the source is unknown, see `check_claims`.
        """
        others = [claim for claim in self.record["claims"] if claim["id"] != id]
        entry = dict(
            id=id,
            source=source,
            statement=statement,
            published=published,
            measured=measured,
            verdict=verdict,
            because=because,
        )
        self._check([entry])
        self.record["claims"] = [*others, entry]

    def _file(self) -> Path:
        return Path(os.environ.get(ASIDE, results_file(MINE, self.notebook)))

    def finding(self, id: str, cases: Mapping[str, str], otherwise: str) -> str:
        """Record what the numbers say in a sentence that holds, see `netrollout.findings`.

        Parameters
        ----------
        id : str
            The book shows the sentence by ``{finding}`<notebook>/<id>```.
        cases : mapping of str to str
            Condition to sentence, the first that is fulfilled is shown; ``{name:.2f:interval}`` shows a value.
        otherwise : str
            The sentence where none is.

        Returns
        -------
        str
            The sentence; empty where what it is about was not run.

        Raises
        ------
        InputError
            A value is neither recorded nor not run, or a condition is none.
        """
        values = self.record["values"] | self._live["values"]
        absent = [name for case in cases for name in asked(case) if name not in values]
        if any(name in self.record["not_run"] or name.split(".")[0] in self.record["not_run"] for name in absent):
            condition, sentence = None, ""
        else:
            condition = next((case for case in cases if holds(case, values)), None)
            sentence = fill(otherwise if condition is None else cases[condition], values)
        self.record["findings"][id] = {"cases": list(cases), "holds": condition, "sentence": sentence}
        return sentence

    def _check(self, claims: list[dict[str, Any]]) -> None:
        root = repository()
        path = results_file(self.profile, self.notebook, Path("results"))
        check_claims(self.record | {"claims": claims}, path, bibliography(root / "book" / "references.bib"))

    def not_run(self, name: str, why: str) -> None:
        """Say what was not run here; the book shows "not run here, because `why`"."""
        self.record["not_run"][name] = why

    def write(self) -> Path:
        """Write both files and return the path of the compared one.

        In a run by the workflow, which may still fail, they are the files that the environment names; by hand they
        stand in ``results/mine/``, and where is said.
        """
        self._check(self.record["claims"])
        self.record["provenance"]["seal"] = seal(self.record)
        path = self._file()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, encode(self.record))
        ran = {"ran": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": time.monotonic() - self._began}
        write_file(path.with_suffix(".live.json"), encode(self._live | ran))
        if ASIDE not in os.environ:
            print(f"This run's results are in {path}; the published ones stay as they are")
        return path


def seal(record: Mapping[str, Any]) -> str:
    """Hash a record, without its seal: whoever edits a written one breaks it."""
    source = {key: item for key, item in record["provenance"].items() if key != "seal"}
    return hashlib.sha256(encode({**record, "provenance": source})).hexdigest()


def bibliography(path: Path) -> frozenset[str] | None:
    """Read the keys of a BibTeX file; None where there is no file."""
    if not path.is_file():
        return None
    return frozenset(re.findall(r"^@\w+\{\s*([^,\s]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE))


def check_claims(record: Mapping[str, Any], path: Path, keys: Container[str] | None) -> None:
    """Check that every claim of a record names what exists.

    Parameters
    ----------
    record : mapping
        As `load` returns it.
    path : Path
        The record's file, for the message.
    keys : container of str, optional
        Known BibTeX keys, see `bibliography`; sources are not checked where None.

    Raises
    ------
    InputError
        A claim's value, verdict or source is unknown; the message names file and claim.
    """
    for claim in record["claims"]:
        place = f"{path}: claim {claim['id']!r}"
        if claim["verdict"] not in VERDICTS:
            raise InputError(f"{place}: verdict {claim['verdict']!r} is none of {', '.join(VERDICTS)}")
        if claim["measured"] is not None and claim["measured"] not in record["values"]:
            raise InputError(f"{place}: no value {claim['measured']!r} is recorded in this notebook")
        if keys is not None and claim["source"] not in keys:
            raise InputError(f"{place}: source {claim['source']!r} is no key of book/references.bib")


def results_file(profile: str, notebook: str, root: Path | None = None) -> Path:
    """Name the file of a record."""
    return (root or repository() / "results") / profile / f"{notebook}.json"


def load(profile: str, notebook: str, root: Path | None = None) -> dict[str, Any]:
    """Read a record; what was measured live, where it is there, stands under the key ``live``.

    Parameters
    ----------
    root : Path, optional
        The folder ``results``; by default that of the checkout.

    Raises
    ------
    InputError
        There is no such record, it is damaged, or its parameters are not those of the profile.
    """
    path = results_file(profile, notebook, root)
    if not path.is_file():
        raise InputError(f"{path}: no results of notebook {notebook} in profile {profile}; run it first")
    record = _read(path)
    if record.get("schema") != SCHEMA:
        raise InputError(f"{path}: schema {record.get('schema')}, this version reads schema {SCHEMA}")
    live = path.with_suffix(".live.json")
    empty: dict[str, Any] = {"values": {}, "tables": {}, "ran": None}
    if profile != MINE and record.get("differs"):
        key, (ours, theirs) = next(iter(record["differs"].items()))
        raise InputError(f"{path}: made with {key} = {ours}, but the {profile} profile has {theirs}: not published")
    return {"findings": {}} | record | {"live": _read(live) if live.is_file() else empty}


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is no JSON; run the notebook again") from None
    if not isinstance(record, dict):
        raise InputError(f"{path}: holds no record of results; run the notebook again")
    return record


def _check_interval(name: str, value: Any, low: float, high: float | None) -> None:
    """Refuse an interval that is none, or that its value lies outside of."""
    if high is not None and low > high:
        raise InputError(f"value {name!r}: its interval goes from {low} to {high}; low must not lie above high")
    slack = ROUNDING * max(abs(low), abs(high or 0.0))
    if isinstance(value, int | float) and high is not None and not low - slack <= value <= high + slack:
        if not math.isnan(value):
            raise InputError(f"value {name!r}: {value} lies outside its interval from {low} to {high}")


def encode(record: Any) -> bytes:
    """Encode as JSON whose bytes depend on the content only."""
    text = json.dumps(_plain(record), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def _plain(item: Any) -> Any:
    """Reduce numpy's types to JSON's; floats keep twelve significant digits, a missing number (NaN) becomes null."""
    if isinstance(item, np.ndarray | np.generic):
        item = item.tolist()
    if isinstance(item, Mapping):
        return {str(key): _plain(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [_plain(value) for value in item]
    if isinstance(item, float):
        if math.isinf(item):
            raise InputError("an infinite number cannot be recorded; say in words what happened")
        return None if math.isnan(item) else float(f"{item:.12g}")
    if item is None or isinstance(item, str | int | bool):
        return item
    raise InputError(f"cannot record a {type(item).__name__}: {item!r}")
