"""Prometheus as a sensor: one instant query per column at the end of each window.

Queries are PromQL in which ``$window`` stands for the window's length.  `istio_queries` writes them for Istio's
standard metrics: the rates from the request counter, the mean from sum and count of the duration histogram, the
quantiles from its buckets.  A rate needs at least two scrapes within a window, so windows must be a few scrape
intervals long.
"""

from __future__ import annotations

import json
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Collection, Mapping
from typing import Any

from netrollout.connect.istio import BLOCKED
from netrollout.connect.protocols import ConnectError
from netrollout.types import InputError

SECONDS = 10.0  # that the server is given to answer


class PrometheusSensor:
    """Measures whatever Prometheus knows.

    Parameters
    ----------
    url : str
        Address of the server, with http:// or https://, without /api.
    queries : mapping
        Column -> PromQL with one value as its answer; ``$window`` stands for the window's length.
    optional : collection of str
        Columns that may have no value, such as a response time when nothing completed: no series or NaN is None there.

    Raises
    ------
    InputError
        If the address is none, there is no query, or an optional column has none.

    Examples
    --------
    >>> sensor = PrometheusSensor("http://127.0.0.1:9090", {"l_shop": "sum(rate(requests_total[$window]))"})
    """

    def __init__(self, url: str, queries: Mapping[str, str], optional: Collection[str] = ()) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise InputError(f"prometheus: {url!r} is no address; expected such as http://127.0.0.1:9090")
        if not queries:
            raise InputError("prometheus: no queries; give column -> PromQL")
        if unknown := sorted(set(optional) - set(queries)):
            raise InputError(f"prometheus: optional column {unknown[0]!r} has no query; known: {', '.join(queries)}")
        self._url, self._queries, self._optional = url.rstrip("/"), dict(queries), frozenset(optional)

    def observe(self, seconds: float) -> dict[str, Any]:
        """Let a window pass and ask for every column at its end; `duration` (s) and `t` (Unix time, s) are added."""
        if not (math.isfinite(seconds) and seconds >= 0.001):
            raise InputError(f"prometheus: a window of {seconds:g} s; expected at least 0.001")
        time.sleep(seconds)
        return self.measured(seconds, time.time())

    def measured(self, seconds: float, end: float) -> dict[str, Any]:
        """Return the columns of a window of `seconds` that ended at Unix time `end` (s).

        Raises
        ------
        ConnectError
            If the server cannot be reached or answers with anything but one finite number per column.
        """
        row: dict[str, Any] = {"t": end - seconds, "duration": seconds}
        for column, query in self._queries.items():
            row[column] = self._value(column, query.replace("$window", f"{round(1000 * seconds)}ms"), end)
        return row

    def _value(self, column: str, query: str, end: float) -> float | None:
        data = self._ask(column, urllib.parse.urlencode({"query": query, "time": f"{end:.3f}"}))
        place = f"prometheus, column {column}"
        try:
            pairs = [data["result"]] if data["resultType"] == "scalar" else [s["value"] for s in data["result"]]
            numbers = [float(number) for _, number in pairs]
        except (KeyError, TypeError, ValueError):
            raise ConnectError(f"{place}: the answer is neither a vector nor a scalar; check the query") from None
        if len(numbers) > 1:
            raise ConnectError(f"{place}: {len(numbers)} series answer; aggregate them to one, as by sum(...)")
        if column in self._optional and (not numbers or math.isnan(numbers[0])):
            return None
        if not numbers:
            raise ConnectError(f"{place}: no series answers; nothing was measured, or a label in the query is wrong")
        if not math.isfinite(numbers[0]):
            raise ConnectError(f"{place}: the answer is {numbers[0]:g}, no number; nothing was measured in the window")
        return numbers[0]

    def _ask(self, column: str, parameters: str) -> Any:
        place = f"prometheus, column {column}"
        try:
            with urllib.request.urlopen(f"{self._url}/api/v1/query?{parameters}", timeout=SECONDS) as reply:
                body = reply.read()
        except urllib.error.HTTPError as error:
            with error:
                said = _said(error.read())
            raise ConnectError(f"{place}: HTTP {error.code} {error.reason}{said}") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise ConnectError(f"{place}: {self._url} could not be reached: {reason}") from None
        try:
            answer = json.loads(body)
            if answer["status"] != "success":
                raise ConnectError(f"{place}: status {answer['status']!r}{_said(body)}; expected 'success'")
            return answer["data"]
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, ConnectError):
                raise
            raise ConnectError(f"{place}: {self._url} does not answer as Prometheus does; check the address") from None


def istio_queries(selectors: Mapping[str, str]) -> dict[str, str]:
    """Return the queries for Istio's standard metrics.

    Parameters
    ----------
    selectors : mapping
        Service -> labels that tell its requests, such as ``reporter="source",destination_service_name="shop"``.

    Returns
    -------
    dict
        Per service s: `l_s` offered and `cl_s` admitted load (req/s), `n_s` requests completed, `d_s`, `d_s_p90`,
        `d_s_p99` response time of the completed (s; no value where none completed).
    """
    queries: dict[str, str] = {}
    for service, labels in selectors.items():
        total = f"istio_requests_total{{{labels}}}[$window]"
        admitted = f'istio_requests_total{{{labels},response_code!="{BLOCKED}"}}[$window]'
        done = f'{{{labels},response_code="200"}}[$window]'
        milliseconds = "istio_request_duration_milliseconds"
        buckets = f"sum by (le) (increase({milliseconds}_bucket{done}))"
        queries |= {
            f"l_{service}": f"sum(rate({total}))",
            f"cl_{service}": f"sum(rate({admitted}))",
            f"n_{service}": f"sum(increase(istio_requests_total{done}))",
            f"d_{service}": f"sum(increase({milliseconds}_sum{done})) / sum(increase({milliseconds}_count{done}))"
            " / 1000",
            f"d_{service}_p90": f"histogram_quantile(0.9, {buckets}) / 1000",
            f"d_{service}_p99": f"histogram_quantile(0.99, {buckets}) / 1000",
        }
    return queries


def _said(body: bytes) -> str:
    """Return what the server says of its error, as ': text', or nothing."""
    try:
        text = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return ""
    return ": " + " ".join(str(text).split())[:200]
