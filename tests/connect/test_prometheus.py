"""The Prometheus sensor against a server that speaks its JSON, and its errors."""

import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from netrollout.connect.prometheus import PrometheusSensor, istio_queries
from netrollout.connect.protocols import ConnectError, Sensor
from netrollout.types import InputError


class Prometheus(BaseHTTPRequestHandler):
    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        self.server.asked.append((parts.path, dict(urllib.parse.parse_qsl(parts.query))))
        status, body = self.server.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

    def log_message(self, *_):
        pass


def vector(*values):
    series = [{"metric": {"n": str(i)}, "value": [1.0, value]} for i, value in enumerate(values)]
    return {"status": "success", "data": {"resultType": "vector", "result": series}}


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Prometheus) as server:
        server.asked, server.answer = [], (200, vector("0.25"))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def sensor(server, **options):
    return PrometheusSensor(f"http://127.0.0.1:{server.server_port}/", {"l": "sum(rate(n[$window]))"}, **options)


def test_a_window_is_asked_for_at_its_end(server):
    assert isinstance(sensor(server), Sensor)
    row = sensor(server).measured(2.0, 1000.0)
    assert row == {"t": 998.0, "duration": 2.0, "l": 0.25}
    assert server.asked == [("/api/v1/query", {"query": "sum(rate(n[2000ms]))", "time": "1000.000"})]
    assert sensor(server).observe(0.01)["l"] == 0.25


def test_a_scalar_is_a_number_too(server):
    server.answer = 200, {"status": "success", "data": {"resultType": "scalar", "result": [1.0, "3"]}}
    assert sensor(server).measured(2.0, 1.0)["l"] == 3.0


def test_istio_queries_use_counter_and_histogram(server):
    queries = istio_queries({"shop": 'destination_service_name="shop"'})
    assert list(queries) == ["l_shop", "cl_shop", "n_shop", "d_shop", "d_shop_p90", "d_shop_p99"]
    assert "_bucket{" in queries["d_shop_p90"] and "histogram_quantile(0.9" in queries["d_shop_p90"]
    row = PrometheusSensor(f"http://127.0.0.1:{server.server_port}", queries).measured(30.0, 60.0)
    assert row["d_shop"] == 0.25 and all("[30000ms]" in asked["query"] for _, asked in server.asked)


@pytest.mark.parametrize("answer", [vector(), vector("NaN")])
def test_an_optional_column_may_have_no_value(server, answer):
    server.answer = 200, answer
    assert sensor(server, optional=["l"]).measured(2.0, 1.0)["l"] is None


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((200, vector()), "no series answers"),
        ((200, vector("NaN")), "the answer is nan"),
        ((200, vector("+Inf")), "the answer is inf"),
        ((200, vector("1", "2")), "2 series answer; aggregate"),
        ((200, {"status": "success", "data": {"resultType": "matrix", "result": [{"values": [[1, "2"]]}]}}), "neither"),
        ((200, vector("many")), "neither"),
        ((200, {"status": "error", "error": "too\nlong"}), "status 'error': too long"),
        ((200, {"status": "success"}), "does not answer as Prometheus"),
        ((200, [1, 2]), "does not answer as Prometheus"),
        ((200, b"<html>"), "does not answer as Prometheus"),
        ((500, b"oops"), "HTTP 500"),
        ((422, {"status": "error", "error": "bad query"}), "HTTP 422 .*: bad query"),
        ((503, b""), "HTTP 503"),
    ],
)
def test_whatever_is_no_number_is_one_clear_error(server, answer, says):
    server.answer = answer
    with pytest.raises(ConnectError, match=f"^prometheus, column l: .*{says}") as error:
        sensor(server).measured(2.0, 1.0)
    assert "\n" not in str(error.value)


def test_a_server_that_is_not_there():
    with pytest.raises(ConnectError, match="could not be reached"):
        PrometheusSensor("http://127.0.0.1:9", {"l": "1"}).measured(1.0, 1.0)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "127.0.0.1:9090", "", "ftp://x"])
def test_only_web_addresses_are_asked(url):
    with pytest.raises(InputError, match="is no address"):
        PrometheusSensor(url, {"l": "1"})


def test_what_is_asked_for_must_make_sense():
    with pytest.raises(InputError, match="no queries"):
        PrometheusSensor("http://x", {})
    with pytest.raises(InputError, match="'d' has no query"):
        PrometheusSensor("http://x", {"l": "1"}, optional=["d"])
    for seconds in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="window"):
            PrometheusSensor("http://x", {"l": "1"}).observe(seconds)
