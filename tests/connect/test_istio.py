"""A configuration as Istio and Kubernetes objects, held against pydantic models of both."""

import copy

import pytest
import yaml
from cloudcoil.models.istio.networking.v1 import VirtualService
from cloudcoil.models.kubernetes.apps.v1 import Deployment

from netrollout.connect.istio import Layout, to_yaml
from netrollout.types import InputError

TWO = Layout("shop", ("compute", "info"), scaled=(1, 2))
RUNNING = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "node1", "namespace": "default"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "node1"}},
        "template": {
            "metadata": {"labels": {"app": "node1"}},
            "spec": {"containers": [{"name": "worker", "image": "worker:1"}, {"name": "proxy", "image": "proxy:1"}]},
        },
    },
}


def merged(object_, patch):
    """Kubernetes' strategic merge, as far as it is needed: mappings merge, containers merge by name."""
    result = copy.deepcopy(object_)
    for key, value in patch.items():
        if key == "containers":
            changes = {part["name"]: part for part in value}
            result[key] = [merged(part, changes.get(part["name"], {})) for part in result[key]]
        else:
            result[key] = merged(result.get(key, {}), value) if isinstance(value, dict) else value
    return result


def said_by(model, plain):
    """What a model keeps of an object: a key that it does not know is lost."""
    return model.model_validate(plain).model_dump(mode="json", by_alias=True, exclude_none=True)


@pytest.mark.parametrize("p", [0.0, 1 / 3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("b", [0.0, 0.125, 1.0])
def test_weights_sum_to_100_and_the_model_keeps_every_key(p, b):
    service = TWO.virtual_service({"p_compute": p, "p_info": 0.2, "b_compute": b})
    assert said_by(VirtualService, service) == service
    route = service["spec"]["http"][0]
    assert sum(r["weight"] for r in route["route"]) == 100
    assert route["match"] == [{"uri": {"exact": "/compute"}}] and route["timeout"] == "5000ms"
    assert ("fault" in route) == (b > 0)
    if b:
        assert route["fault"]["abort"]["percentage"]["value"] == 100 * b


def test_a_worker_is_a_replica():
    whole = merged(RUNNING, TWO.deployment(1, 3.0))
    assert said_by(Deployment, whole) == whole
    assert Deployment.model_validate(whole).spec.replicas == 3


def test_or_a_share_of_the_cpu_limit_of_the_named_container():
    layout = Layout("shop", ("compute",), workers="cpu", quota=0.2)
    whole = merged(RUNNING, layout.deployment(1, 3))
    assert said_by(Deployment, whole) == whole
    worker, proxy = Deployment.model_validate(whole).spec.template.spec.containers
    assert worker.image == "worker:1" and whole["spec"]["replicas"] == 1 and proxy.resources is None
    assert whole["spec"]["template"]["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "600m"}}


def test_yaml_comes_back_as_it_went():
    objects = TWO.objects({"p_compute": 0.8, "p_info": 0, "c_1": 2, "c_2": 5})
    assert list(yaml.safe_load_all(to_yaml(objects))) == objects and len(objects) == 3


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"p_compute": 0.8}, "service info needs a routing weight"),
        ({"p_compute": 1.01, "p_info": 0}, "p_compute=1.01"),
        ({"p_compute": float("nan"), "p_info": 0}, "p_compute=nan"),
        ({"p_compute": 0.5, "p_info": 0, "b_info": -0.01}, "b_info=-0.01 is a blocking rate"),
        ({"p_compute": 0.5, "p_info": 0, "c_1": 0}, "c_1=0"),
        ({"p_compute": 0.5, "p_info": 0, "c_1": 2.5}, "c_1=2.5"),
        ({"p_compute": 0.5, "p_info": 0, "c_1": float("inf")}, "c_1=inf"),
        ({"p_compute": 0.5, "p_info": 0, "c_3": 1}, "'c_3'"),
        ({"p_compute": 0.5, "p_info": 0, "b_video": 0}, "'b_video'"),
    ],
)
def test_wrong_values_are_named(values, says):
    with pytest.raises(InputError, match=says):
        TWO.objects(values)
