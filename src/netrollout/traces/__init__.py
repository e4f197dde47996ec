"""Traces of the mesh: reading and checking ours, reading the published ones, fetching files.

A trace has one row per measuring window. Its file format is CSV, plain or compressed with gzip: first header lines
`# key: value`, then the names of the columns, then one line per window.
"""

from netrollout.traces.fetching import Fetchable, data_folder, fetch, fetched, registry
from netrollout.traces.kth import KTH_TRACES, kth_available, read_kth
from netrollout.traces.kth_steps import KTH_FIGURES, read_kth_optimum, read_kth_steps
from netrollout.traces.reading import Report, check_trace, read_trace
from netrollout.traces.schema import SCHEMA, TraceError
from netrollout.traces.shipping import log_files, shipped, shipped_names, trace_files, verify_shipped
from netrollout.traces.trace import Trace, configurations, response_times

__all__ = [
    "KTH_FIGURES",
    "KTH_TRACES",
    "SCHEMA",
    "Fetchable",
    "Report",
    "Trace",
    "TraceError",
    "check_trace",
    "configurations",
    "data_folder",
    "fetch",
    "fetched",
    "kth_available",
    "log_files",
    "read_kth",
    "read_kth_optimum",
    "read_kth_steps",
    "read_trace",
    "registry",
    "response_times",
    "shipped",
    "shipped_names",
    "trace_files",
    "verify_shipped",
]
