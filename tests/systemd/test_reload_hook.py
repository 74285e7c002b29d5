"""A service is reloaded when a token is renewed, by a daemon that may not call systemctl."""

from tests.systemd.test_service import until

READER = """
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecReload=/bin/sh -c 'echo reloaded >> /run/reader.reloads'
"""
NAME = "token-reader"
PATH = f"refresher-reload@{NAME}.path"


def test_a_service_is_reloaded_at_each_rotation_from_inside_the_sandbox(host, box_provider):
    box = host.box
    box.write(f"/etc/systemd/system/{NAME}.service", READER)
    reloads = box.root / "run/reader.reloads"
    try:
        box.systemctl("daemon-reload")
        box.systemctl("start", f"{NAME}.service")
        box.systemctl("start", PATH)
        host.add("fast", box_provider, ttl=6)
        host.tables["hooks.reader"] = {"on": ["rotated"], "reload": NAME}
        host.start()
        until(lambda: reloads.exists() and len(reloads.read_text().split()) >= 3, lambda: host.log)
        assert box.show(f"refresher-reload@{NAME}.service", "Result") == ("success",)
        assert not host.journal("REFRESHER_EVENT=hook_failed")
    finally:
        box.systemctl("stop", PATH, f"{NAME}.service", check=False)
        (box.root / f"etc/systemd/system/{NAME}.service").unlink()
        reloads.unlink(missing_ok=True)
        box.systemctl("daemon-reload")
