"""The Kubernetes actuator against a server that keeps the requests it gets."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kubernetes import client

from netrollout.connect.cluster import KubernetesActuator
from netrollout.connect.istio import Layout
from netrollout.connect.protocols import Actuator, ConnectError
from netrollout.types import InputError

SERVICE = "/apis/networking.istio.io/v1/namespaces/prod/virtualservices/shop"
NODE = "/apis/apps/v1/namespaces/prod/deployments/node1"


class Api(BaseHTTPRequestHandler):
    def do_PATCH(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, self.headers["Content-Type"], body))
        status = self.server.status.get(self.path, 200)
        answer = json.dumps({"kind": "Status", "metadata": {}} if status != 200 else {"metadata": {"name": "x"}})
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        server.requests, server.status = [], {}
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def actuator(server):
    configuration = client.Configuration(host=f"http://127.0.0.1:{server.server_port}")
    configuration.retries = False
    with client.ApiClient(configuration) as api:
        yield KubernetesActuator(Layout("shop", ("compute",), namespace="prod"), api)


def test_an_action_is_two_patches_workers_first(server, actuator):
    assert isinstance(actuator, Actuator)
    actuator.apply({"p_compute": 0.8, "c_1": 3, "b_compute": 0.1})
    (path, kind, body), (path2, kind2, body2) = server.requests
    assert (path, kind, body) == (NODE, "application/strategic-merge-patch+json", {"spec": {"replicas": 3}})
    assert (path2, kind2) == (SERVICE, "application/merge-patch+json")
    [route] = body2["spec"]["http"]
    assert [r["weight"] for r in route["route"]] == [80, 20]
    assert route["fault"]["abort"]["percentage"] == {"value": 10.0}


def test_what_is_not_named_stays(server, actuator):
    actuator.apply({"p_compute": 0.8, "b_compute": 0.1})
    actuator.apply({"c_1": 2})
    assert [path for path, _, _ in server.requests] == [SERVICE, NODE]
    actuator.apply({"b_compute": 0})
    [route] = server.requests[-1][2]["spec"]["http"]
    assert [r["weight"] for r in route["route"]] == [80, 20] and "fault" not in route


@pytest.mark.parametrize("values", [{"b_compute": 0.1}, {"p_compute": 2, "c_1": 3}, {"p_compute": 0.5, "c_2": 3}])
def test_wrong_values_send_nothing(server, actuator, values):
    with pytest.raises(InputError):
        actuator.apply(values)
    assert server.requests == []


@pytest.mark.parametrize(("status", "says"), [(404, "create it first"), (403, "403"), (409, "409"), (500, "500")])
def test_a_refusal_names_the_object_and_the_call_can_be_repeated(server, actuator, status, says):
    server.status[NODE] = status
    with pytest.raises(ConnectError, match=says) as error:
        actuator.apply({"p_compute": 0.8, "c_1": 3})
    assert "Deployment prod/node1" in str(error.value) and "\n" not in str(error.value)
    server.status.clear()
    actuator.apply({"p_compute": 0.8, "c_1": 3})
    assert [path for path, _, _ in server.requests] == [NODE, NODE, SERVICE]


def test_a_server_that_is_not_there():
    configuration = client.Configuration(host="http://127.0.0.1:9")
    configuration.retries = False
    actuator = KubernetesActuator(Layout("shop", ("compute",)), client.ApiClient(configuration))
    with pytest.raises(ConnectError, match="Deployment default/node1: the API server could not be reached"):
        actuator.apply({"c_1": 2})
