"""export istio as a user meets it: objects that Istio and Kubernetes take, and one line for what is wrong."""

import sys
from types import SimpleNamespace

import pytest
import yaml
from cloudcoil.models.istio.networking.v1 import VirtualService
from cloudcoil.models.kubernetes.apps.v1 import Deployment

from netrollout.cli.main import main

SETTING = ("--system", "mesh-s2", "--setting", "p=0.8,c=3")


@pytest.fixture
def run(monkeypatch, capsys):
    """Call the command in this process: the interpreter and its libraries load once."""

    def run(*arguments, cwd):
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["netrollout", "export", "istio", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
            sys.exit(0)
        said = capsys.readouterr()
        return SimpleNamespace(returncode=stop.value.code or 0, stdout=said.out, stderr=said.err)

    return run


def test_the_setting_is_printed_as_two_objects(run, tmp_path):
    done = run(*SETTING, "--block", "compute=0.2", "--host", "shop.example.org", "--namespace", "prod", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    service, patch = yaml.safe_load_all(done.stdout)
    assert VirtualService.model_validate(service).spec.hosts == ["shop.example.org"]
    [route] = service["spec"]["http"]
    assert [(r["destination"]["host"], r["weight"]) for r in route["route"]] == [("node1", 80), ("node2", 20)]
    assert route["fault"]["abort"] == {"httpStatus": 429, "percentage": {"value": 20.0}}
    assert patch["metadata"] == {"name": "node1", "namespace": "prod"} and patch["spec"] == {"replicas": 3}


def test_a_folder_gets_a_file_per_object_and_a_file_all_of_them(run, tmp_path):
    assert run(*SETTING, "--out", "objects", cwd=tmp_path).returncode == 0
    files = sorted((tmp_path / "objects").iterdir())
    assert [file.name for file in files] == ["deployment-node1.yaml", "virtualservice-mesh-s2.yaml"]
    assert run(*SETTING, "--out", "all.yaml", cwd=tmp_path).returncode == 0
    both = list(yaml.safe_load_all((tmp_path / "all.yaml").read_text()))
    assert [yaml.safe_load(file.read_text()) for file in reversed(files)] == both
    assert both[1]["kind"] == Deployment.model_fields["kind"].default


def test_every_mesh_has_an_export(run, tmp_path):
    s1 = run("--system", "mesh-s1", "--setting", "p_compute=0.2,p_info=1,c_1=2,c_2=5", cwd=tmp_path)
    service, *patches = yaml.safe_load_all(s1.stdout)
    assert [route["name"] for route in service["spec"]["http"]] == ["compute", "info"]
    assert {p["metadata"]["name"]: p["spec"]["replicas"] for p in patches} == {"node1": 2, "node2": 5}
    assert run("--system", "mesh-s4", "--setting", "p=0.4,c=6", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--system", "mesh-s2", "--setting", "p=0.85,c=3"), "p=0.85 is not on the grid"),
        (("--system", "mesh-s2", "--setting", "p=0.8"), "c_1"),
        (("--system", "mesh-s2", "--setting", "p=0.8,c_7=3"), "'c_7'"),
        (("--system", "mesh-s2", "--setting", "p=0.8,c"), "NAME=NUMBER"),
        (("--system", "mesh-s2", "--setting", "p=0.8,p=0.6,c=3"), "p: given twice"),
        (("--system", "mesh-s2", "--setting", "p=nan,c=3"), "NAME=NUMBER"),
        (("--system", "walk", "--setting", "p=0.8"), "no mesh"),
        ((*SETTING, "--block", "video=0.2"), "b_video"),
        ((*SETTING, "--block", "compute=1.2"), "b_compute=1.2 is a blocking rate"),
        ((*SETTING, "--block", "compute=-0.1"), "b_compute=-0.1"),
        ((*SETTING, "--node", "3=x"), "there is no node 3"),
        ((*SETTING, "--node", "1=No_Name"), "'No_Name'"),
        ((*SETTING, "--host", "bad host"), "'bad host'"),
        ((*SETTING, "--namespace", "A"), "namespace 'A'"),
        ((*SETTING, "--workers", "cores"), "choose one of replicas, cpu"),
        ((*SETTING, "--workers", "cpu", "--quota", "0"), "quota 0"),
        ((*SETTING, "--out", "x.txt"), ".yaml or .yml"),
        ((*SETTING, "--out", "nowhere/x.yaml"), "a folder that exists"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(run, tmp_path, arguments, says):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert says in done.stderr and len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
