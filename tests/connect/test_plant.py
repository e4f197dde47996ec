"""The loop around one's own system: in Python, by a program, and by Kubernetes and Prometheus of the test."""

import json
import math
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from kubernetes import client

from netrollout.cli.own import cycle_line, duration, run_own_loop
from netrollout.connect.cluster import KubernetesActuator
from netrollout.connect.istio import Layout
from netrollout.connect.own import begin
from netrollout.connect.plant import Command, OwnLoop, RealPlant, connected
from netrollout.connect.prometheus import PrometheusSensor
from netrollout.connect.protocols import Actuator, ConnectError, Sensor
from netrollout.types import InputError

SPEC = """\
name: shop
controls:
  c_1: {levels: [1, 2, 3, 4]}
loads:
  l: {levels: [10, 30]}
metrics: [d]
objective: 1 - c_1/4 if d <= 0.1 else 0.1 - d
"""
D = {1: 0.4, 2: 0.08, 3: 0.06, 4: 0.05}
PROGRAM = """\
import json, pathlib, sys
order, store = json.load(sys.stdin), pathlib.Path(sys.argv[1])
state = json.loads(store.read_text()) if store.exists() else {"c_1": 4, "calls": 0}
if "set" in order:
    state |= order["set"]
else:
    state["calls"] += 1
    d = None if state["calls"] == 2 else {1: 0.4, 2: 0.08, 3: 0.06, 4: 0.05}[state["c_1"]]
    print(json.dumps({"l": 10, "d": d, "waited": order["window"]}))
store.write_text(json.dumps(state))
"""


class Shop:
    """A simulator of one's own."""

    def __init__(self, c=4, **columns):
        self.c, self.columns, self.set, self.fails = c, columns, [], []

    def apply(self, values):
        if self.fails:
            raise self.fails.pop()
        self.set.append(dict(values))
        self.c = int(values["c_1"])

    def observe(self, seconds):
        return {"l": 10.0, "d": D[self.c]} | self.columns


@pytest.fixture
def files(tmp_path):
    rng, lines = np.random.default_rng(0), ["visit,c_1,l,d"]
    for visit, c in enumerate((1, 2, 3, 4) * 3):
        lines += [f"{visit},{c},10,{D[c] * rng.uniform(0.95, 1.05)}" for _ in range(4)]
    (tmp_path / "s.yaml").write_text(SPEC)
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "s.yaml", tmp_path / "t.csv"


def loop(files, shop, dry=False, **options):
    grid, *rest, _ = begin(*files, **options)
    return OwnLoop(grid, *rest, RealPlant(grid.spec, shop, shop, 0.01), dry=dry)


def test_it_begins_where_the_system_stands_measures_first_and_moves_one_increment_a_cycle(files):
    shop = Shop()
    assert isinstance(shop, Actuator) and isinstance(shop, Sensor)
    running = loop(files, shop)
    done = [running.step() for _ in range(4)]
    assert [cycle.setting["c_1"] for cycle in done] == [4, 3, 2, 2]
    assert [cycle.reward for cycle in done] == [0.0, 0.25, 0.5, 0.5]
    assert shop.set == [{"c_1": 3.0}, {"c_1": 2.0}] and all(cycle.applied and cycle.decided for cycle in done)
    assert len(running.rows.setting) == 48 + 4 and len(np.unique(running.rows.visit)) == 12 + 3


def test_a_dry_run_advises_and_sets_nothing(files):
    shop = Shop()
    done = loop(files, shop, dry=True).step()
    assert done.next == {"c_1": 3.0} and not done.applied and shop.set == []
    assert "would set c_1=3" in cycle_line(vars(done))


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"d": None}, "the window has no d: nothing was learned, and the setting is held"),
        ({"l": math.nan}, "the window has no l"),
        ({"l": 99999.0}, "l=99999: the trace tells nothing of such a load; it has 10"),
        ({"d": "fast"}, "the window has d='fast'; expected a finite number or null"),
        ({"c_1": 7}, r"c_1=7 is not one of the levels"),
    ],
)
def test_where_something_is_missing_it_holds_learns_nothing_and_says_why(files, columns, says):
    shop = Shop(**columns)
    running = loop(files, shop)
    done = running.step()
    assert says in done.note and not done.learned and done.next == done.setting and shop.set == []
    assert len(running.rows.setting) == 48 and says in cycle_line(vars(done))


def test_a_window_that_names_the_controls_knows_where_the_system_stands(files):
    running = loop(files, Shop(c=2, c_1=2), at={"c_1": 4})
    assert running.step().setting == {"c_1": 2.0}


def test_a_setting_that_did_not_get_through_is_taken_back_before_the_next_window(files):
    shop = Shop()
    shop.fails = [ConnectError("the API server could not be reached")]
    running = loop(files, shop)
    first, second = running.step(), running.step()
    assert not first.applied and "could not be reached" in first.note
    assert shop.set == [{"c_1": 4.0}, {"c_1": 3.0}] and second.setting == {"c_1": 4.0} and second.applied


@pytest.fixture
def program(tmp_path, files):
    (tmp_path / "sim.py").write_text(PROGRAM)
    arguments = json.dumps([sys.executable, str(tmp_path / "sim.py"), str(tmp_path / "state.json")])
    files[0].write_text(SPEC + f"connect: {{command: {arguments}}}\n")
    return files


def run(files, log, cycles, resume=False, dry=False):
    run_own_loop(*files, None, 0, "command", "10ms", cycles, log, resume, dry)


def test_a_program_is_driven_and_the_loop_resumed_as_if_it_had_never_stopped(program, tmp_path, capsys):
    def logged(log):
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        return lines[1:]

    run(program, tmp_path / "whole.jsonl", 5)
    whole = logged(tmp_path / "whole.jsonl")
    assert [line["setting"]["c_1"] for line in whole] == [4, 3, 3, 2, 2]
    assert [line["learned"] for line in whole] == [True, False, True, True, True] and whole[1]["window"]["d"] is None
    assert "nothing learned  hold: the window has no d" in capsys.readouterr().out
    (tmp_path / "state.json").unlink()
    run(program, tmp_path / "cut.jsonl", 3)
    with (tmp_path / "cut.jsonl").open("a") as file:
        file.write('{"cycle": 3, "set')  # as a kill would leave it
    with pytest.raises(InputError, match="exists"):
        run(program, tmp_path / "cut.jsonl", 5)
    run(program, tmp_path / "cut.jsonl", 5, resume=True)
    assert logged(tmp_path / "cut.jsonl") == whole
    with pytest.raises(InputError, match="dry_run"):
        run(program, tmp_path / "cut.jsonl", 5, resume=True, dry=True)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise SystemExit('no such host')", "exit code 1: no such host"),
        ("print('d=1')", "printed 'd=1'; expected one JSON object"),
        ("print('[1]')", "expected one JSON object"),
    ],
)
def test_a_program_that_fails_is_one_line(code, says):
    with pytest.raises(ConnectError, match=says):
        Command([sys.executable, "-c", code]).observe(0.01)
    with pytest.raises(ConnectError, match="cannot be run"):
        Command(["/nowhere/program"]).apply({"c": 1})


def test_what_the_spec_does_not_say_is_named(files):
    spec = begin(*files)[0].spec
    with pytest.raises(InputError, match=r"connect\.command is missing"):
        connected(spec, "command")
    files[0].write_text(SPEC + "connect: {prometheus: {url: 'http://127.0.0.1:9', queries: {d: up}}}\n")
    spec = begin(*files)[0].spec
    assert connected(spec, "prometheus")[0] is None
    with pytest.raises(InputError, match=r"connect\.kubernetes is missing"):
        connected(spec, "kubernetes")
    with pytest.raises(InputError, match="--every 3h: expected a time from 1ms to 60m"):
        duration("3h")
    assert [duration(text) for text in ("30s", "2m", "500ms", "5")] == [30.0, 120.0, 0.5, 5.0]


class Cluster(BaseHTTPRequestHandler):
    """API server and Prometheus in one: the replicas that are patched decide the response time that is measured."""

    def do_PATCH(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.replicas.append(body["spec"]["replicas"])
        self._answer({"metadata": {"name": "node1"}})

    def do_GET(self):
        value = "10" if "rate" in self.path else str(D[self.server.replicas[-1]])
        result = [{"metric": {}, "value": [1.0, value]}]
        self._answer({"status": "success", "data": {"resultType": "vector", "result": result}})

    def _answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


def test_kubernetes_and_prometheus_are_a_plant(files):
    with ThreadingHTTPServer(("127.0.0.1", 0), Cluster) as server:
        server.replicas = [4]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        with client.ApiClient(client.Configuration(host=url)) as api:
            grid, *rest, _ = begin(*files)
            sensor = PrometheusSensor(url, {"l": "sum(rate(n[$window]))", "d": "latency"})
            actuator = KubernetesActuator(Layout("shop", ("compute",)), api)
            running = OwnLoop(grid, *rest, RealPlant(grid.spec, actuator, sensor, 0.01))
            done = [running.step() for _ in range(3)]
        server.shutdown()
        thread.join()
    assert server.replicas == [4, 3, 2] and [cycle.window["d"] for cycle in done] == [0.05, 0.06, 0.08]
