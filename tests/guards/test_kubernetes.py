"""The example for Kubernetes: a cluster takes each of its objects, and the jobs.toml in it has no mistake."""

from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from refresher.config import load

FILE = Path(__file__).parents[2] / "docs/examples/kubernetes.yaml"
OBJECTS = {one["kind"]: one for one in yaml.safe_load_all(FILE.read_text("utf-8"))}


@pytest.mark.parametrize("kind", OBJECTS)
def test_a_cluster_takes_it(kind):
    kubernetes_validate.validate(OBJECTS[kind], "1.37", strict=True)


def test_a_slip_is_caught():
    slip = OBJECTS["PodDisruptionBudget"] | {"spec": {"minAvailible": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(slip, "1.37", strict=True)


def test_its_jobs_have_no_mistake(tmp_path):
    file = tmp_path / "jobs.toml"
    file.touch(mode=0o600)
    file.write_text(OBJECTS["ConfigMap"]["data"]["jobs.toml"])
    settings = load(file)
    assert settings.warnings == ()
    assert settings.postgres is not None


def test_it_has_no_secret_and_its_nodes_find_their_disks_again():
    assert set(OBJECTS) == {
        "ServiceAccount", "ConfigMap", "Service", "StatefulSet", "PodDisruptionBudget", "NetworkPolicy",
    }  # fmt: skip
    pod = OBJECTS["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]} | {"state"}
    assert not any("secret" in volume for volume in pod["volumes"])
    assert {"livenessProbe", "readinessProbe"} <= container.keys()
