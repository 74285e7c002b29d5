"""Who may ask the service what: root has control, nobody else does, and each instance answers for itself."""

import json

from tests.systemd.install import UNITS
from tests.systemd.test_service import until

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
CONTROL = "/run/refresher/control-default.sock"


def test_root_has_control_of_the_service_and_another_user_is_refused(host):
    host.start()
    until(lambda: host.token("semansys"), lambda: host.log)
    run = host.box.run
    assert run("stat", "--format=%a", CONTROL, "/run/refresher/view-default.sock").stdout.split() == ["600", "660"]
    seen = run("refresher", "status", "--json")
    assert "from the running daemon" in seen.stderr
    assert [json.loads(line)["state"] for line in seen.stdout.splitlines()] == ["fresh"]
    rotated = json.loads(run("refresher", "rotate", "semansys", "--json").stdout)
    assert (rotated["outcome"], rotated["reason"]) == ("rotated", "forced")
    (asked,) = host.journal("REFRESHER_EVENT=asked")
    assert (asked["REFRESHER_VERB"], asked["REFRESHER_JOB"], asked["REFRESHER_UID"]) == ("rotate", "semansys", "0")

    refused = run(*NOBODY, "refresher", "pause", "semansys", "--until", "1h", check=False)
    assert refused.returncode == 1
    assert f"{CONTROL} is for root and the daemon's own user" in refused.stderr
    run("chmod", "666", CONTROL)  # somebody was too kind: the kernel still says who calls
    refused = run(*NOBODY, "refresher", "pause", "semansys", "--until", "1h", check=False)
    assert refused.returncode == 1
    assert "uid 65534 has no control here" in refused.stderr
    denied = host.journal("REFRESHER_EVENT=asked", "REFRESHER_ERROR=denied")
    assert [(one["REFRESHER_UID"], one["PRIORITY"]) for one in denied] == [("65534", "4")]

    run("systemctl", "kill", "--signal=KILL", host.unit)
    host.box.wait(host.unit, NRestarts="1", ActiveState="active")
    assert "from the running daemon" in run("refresher", "status", "--json").stderr, "it has new sockets"
    assert run("stat", "--format=%a", CONTROL).stdout.split() == ["600"]


def test_each_instance_answers_for_itself(new_host):
    names = ("blue", "green")
    hosts = [new_host(name) for name in names]
    for one in hosts:
        one.start()
        until(lambda one=one: one.token(*one.jobs), lambda one=one: one.log)
    run = hosts[0].box.run
    for name in names:
        seen = run("refresher", "status", "--json", "--config", f"/etc/refresher/{name}.toml")
        assert "from the running daemon" in seen.stderr
        assert [json.loads(line)["job"] for line in seen.stdout.splitlines()] == [name]


def test_a_pass_leaves_its_metrics_where_the_drop_in_lets_it(host):
    folder = "/var/lib/prometheus/node-exporter"
    host.tables["metrics"] = {"textfile": f"{folder}/refresher.prom"}
    host.write()
    run = host.box.run
    run("groupadd", "--force", "--system", "prometheus")
    run("install", "-d", "-m", "2775", "-g", "prometheus", folder)
    host.box.drop_in("refresher-once.service", (UNITS / "examples/textfile.conf").read_text())
    run("systemctl", "start", "refresher-once.service")
    text = run("cat", f"{folder}/refresher.prom").stdout
    assert 'refresher_rotations_total{name="semansys"} 1.0' in text
    assert run("stat", "--format=%a", f"{folder}/refresher.prom").stdout.split() == ["644"]
    run("rm", "-rf", folder, "/etc/systemd/system/refresher-once.service.d")
