"""refresher.service under a real systemd, with a real Vault and a provider on the loopback of its network."""

import re
import time
from collections.abc import Callable

import pytest

from tests.systemd.host import CREDENTIAL, QUICK
from tests.systemd.install import UNITS

WITHIN_S = 60


def until(holds: Callable[[], object], why: Callable[[], str]) -> None:
    """Wait until something holds inside: nobody tells us of it."""
    ends = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < ends, why()
        time.sleep(0.1)


def test_it_is_active_when_every_path_was_looked_at_and_says_how_it_stands(host):
    host.start()
    assert host.box.show(host.unit, "ActiveState", "SubState") == ("active", "running")
    assert host.status.startswith("1 job")
    until(lambda: host.journal("REFRESHER_EVENT=started", "PRIORITY=6"), lambda: host.log)
    until(lambda: re.fullmatch(r"1 job, next rotation semansys at \S+Z", host.status), lambda: host.status)
    assert host.token("semansys")


def test_it_rotates_in_its_sandbox_and_the_journal_knows_each_job(host, box_provider):
    host.add("fast", box_provider, ttl=6)
    host.start()
    until(lambda: len(host.journal("REFRESHER_JOB=fast", "REFRESHER_EVENT=rotated")) >= 3, lambda: host.log)
    rotated = host.journal("REFRESHER_JOB=fast", "REFRESHER_EVENT=rotated")
    assert [int(one["REFRESHER_VERSION"]) for one in rotated][:3] == [1, 2, 3]
    assert {one["_SYSTEMD_UNIT"] for one in rotated} == {host.unit}
    assert {one["REFRESHER_OUTCOME"] for one in rotated} == {"rotated"}
    assert rotated[0]["MESSAGE"].startswith("rotated fast outcome=rotated")
    assert rotated[0]["PRIORITY"] == "6"
    assert rotated[0]["SYSLOG_IDENTIFIER"] == "refresher"


def test_the_login_comes_by_a_credential_that_nobody_else_sees(host):
    host.start()
    pid = host.box.main_pid(host.unit)
    environ = host.box.run("cat", f"/proc/{pid}/environ").stdout
    assert f"CREDENTIALS_DIRECTORY=/run/credentials/{host.unit}" in environ
    assert host.secret_id not in environ
    mode = host.box.run("stat", "-c", "%a", f"/proc/{pid}/root/run/credentials/{host.unit}/{CREDENTIAL}").stdout
    assert mode.strip() in ("400", "440"), "systemd 257 shows the right that it gives by an ACL as the group's"


def test_an_encrypted_credential_is_opened_by_systemd_alone(host):
    store = "/etc/credstore.encrypted"
    host.box.run("mkdir", "-p", "-m", "0700", store)
    words = ("systemd-creds", "encrypt", "--with-key=host", f"--name={CREDENTIAL}", "-", f"{store}/{CREDENTIAL}")
    host.box.run(*words, text=host.secret_id)
    host.box.run("rm", f"/etc/credstore/{CREDENTIAL}")
    host.box.drop_in(host.unit, (UNITS / "examples/encrypted-credential.conf").read_text(), name="credential")
    host.start()
    until(lambda: host.token("semansys"), lambda: host.log)


def test_ten_reloads_are_each_over_when_systemctl_returns(host, box_provider):
    host.start()
    for number in range(1, 11):
        host.add(f"more-{number}", box_provider)
        host.write()
        host.box.systemctl("reload", host.unit)
        assert host.box.show(host.unit, "ActiveState", "SubState") == ("active", "running")
        assert host.status.startswith(f"{number + 1} jobs")
    until(lambda: len(host.journal("REFRESHER_EVENT=reloaded")) == 10, lambda: host.log)


def test_a_reload_of_a_broken_file_fails_and_the_old_jobs_run_on(host):
    host.start()
    pid, status = host.box.main_pid(host.unit), host.status
    host.config.write_text("[jobs")
    assert host.box.systemctl("reload", host.unit, check=False) != 0
    assert "jobs.toml" in host.log, "systemctl status shows the mistake"
    assert host.box.show(host.unit, "ActiveState", "SubState", "MainPID") == ("active", "running", pid)
    host.box.systemctl("kill", "--kill-who=main", "--signal=HUP", host.unit)
    until(lambda: host.journal("REFRESHER_EVENT=reload_refused"), lambda: host.log)
    assert host.status[:5] == status[:5]
    host.write()
    host.box.systemctl("reload", host.unit)
    until(lambda: host.journal("REFRESHER_EVENT=reloaded"), lambda: host.log)


def test_it_is_started_again_after_a_kill_and_asks_for_no_token_that_it_has(host):
    host.start()
    until(lambda: host.token("semansys"), lambda: host.log)
    pid = host.box.main_pid(host.unit)
    host.box.systemctl("kill", "--signal=KILL", host.unit)
    host.box.wait(host.unit, NRestarts="1", ActiveState="active")
    assert host.box.main_pid(host.unit) != pid
    assert host.versions("semansys") == 1


def test_one_that_hangs_is_ended_by_the_watchdog_says_where_it_hung_and_starts_again(host):
    host.box.drop_in(host.unit, QUICK.replace("20s", "3s"))
    host.start()
    host.box.systemctl("kill", "--kill-who=main", "--signal=STOP", host.unit)
    host.box.wait(host.unit, NRestarts="1", ActiveState="active", within=WITHIN_S)
    assert "Watchdog timeout" in host.log
    assert "Fatal Python error: Aborted" in host.log
    assert re.search(r'File ".*/asyncio/\w+\.py", line \d+ in ', host.log)


def test_a_stop_is_clean(host):
    host.start()
    host.box.systemctl("stop", host.unit)
    assert host.box.show(host.unit, "Result", "ExecMainStatus", "ActiveState") == ("success", "0", "inactive")
    assert len(host.journal("REFRESHER_EVENT=stopped")) == 1


@pytest.mark.parametrize("code", [78, 69])
def test_what_a_restart_does_not_mend_is_not_started_again(host, code):
    host.write()
    if code == 78:
        host.config.write_text("[jobs")
    else:
        host.credential("not-a-secret-id")
    assert host.box.systemctl("start", host.unit, check=False) != 0
    shown = host.box.show(host.unit, "ActiveState", "SubState", "ExecMainStatus", "NRestarts")
    assert shown == ("failed", "failed", str(code), "0")
    if code == 69:
        assert "Vault refuses the login" in host.status


def test_the_timer_and_the_daemon_take_turns_on_one_state_directory(host):
    timer, once = "refresher-once.timer", "refresher-once.service"
    often = "[Timer]\nOnCalendar=\nOnCalendar=*:*:*\nRandomizedDelaySec=0\nAccuracySec=1us\n"
    host.box.drop_in(timer, often)
    host.start()
    until(lambda: host.token("semansys"), lambda: host.log)
    host.box.systemctl("start", timer)
    host.box.wait(host.unit, ActiveState="inactive")
    until(lambda: "fresh" in host.box.log(once), lambda: host.box.log(once))
    assert host.versions("semansys") == 1, "nothing was due"
    host.box.systemctl("start", host.unit)
    host.box.wait(timer, ActiveState="inactive")
    host.box.wait(once, ActiveState="inactive")
    assert host.box.show(once, "Result") == ("success",)
    assert host.box.show(host.unit, "ActiveState") == ("active",)
    kept = host.box.run("ls", "/var/lib/private/refresher").stdout
    assert "identity-default.json" in kept
    assert "aside" not in kept, "neither found a file that it could not use"


def test_it_reaches_whom_the_egress_drop_in_names_and_nobody_else(host):
    allowed = (UNITS / "examples/egress.conf").read_text()
    host.box.drop_in(host.unit, allowed.replace("localhost", ""), name="egress")
    host.start()
    until(lambda: host.journal("REFRESHER_EVENT=store_failed"), lambda: host.log)
    assert host.token("semansys") is None
    host.box.systemctl("stop", host.unit)
    host.box.drop_in(host.unit, allowed, name="egress")
    host.start()
    until(lambda: host.token("semansys"), lambda: host.log)


def test_instances_work_side_by_side(new_host):
    hosts = [new_host(), new_host("blue"), new_host("green")]
    for one in hosts:
        one.start()
    for one in hosts:
        until(lambda one=one: one.token(*one.jobs), lambda one=one: one.log)
    users = {one.box.run("stat", "-c", "%u", f"/proc/{one.box.main_pid(one.unit)}").stdout for one in hosts}
    assert len(users) == 3
    box = hosts[0].box
    states = box.run("ls", "/var/lib/private").stdout.split()
    assert {"refresher", "refresher-blue", "refresher-green"} <= set(states)
    box.systemctl("stop", hosts[0].unit)
    box.systemctl("restart", hosts[1].unit)
    assert [box.show(one.unit, "ActiveState")[0] for one in hosts] == ["inactive", "active", "active"]
    assert [one.versions(*one.jobs) for one in hosts] == [1, 1, 1]


def test_systemd_finds_no_fault_in_the_units(box):
    units = ("refresher.service", "refresher@blue.service", "refresher-once.service", "refresher-once.timer")
    done = box.run("systemd-analyze", "verify", "--man=no", *units)
    assert done.stdout + done.stderr == ""
