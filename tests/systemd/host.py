"""A machine with refresher on it: a booted systemd, and on the loopback of its network a real Vault and a provider.

It is the Site of tests/e2e, installed as a package is: jobs.toml in /etc/refresher, the login's secret_id as a
credential, every other secret in Vault.
"""

import json
from pathlib import Path
from typing import Any

from refresher.demo.openbao import OpenBao
from tests.e2e.site import Site
from tests.systemd.box import Box

UNIT = "refresher.service"
CREDENTIAL = "refresher.vault-secret-id"
QUICK = "[Service]\nRestartSec=200ms\nWatchdogSec=20s\n"


class Host(Site):
    """`name` is the instance: of its own are jobs.toml, user, state directory and secret_id."""

    def __init__(self, box: Box, bao: OpenBao, mount: str, name: str = "") -> None:
        self.box, self.name = box, name
        self.suffix = f"-{name}" if name else ""
        self.began = int(box.run("date", "+%s%6N").stdout)
        self.secret_id = ""
        (box.root / "etc/refresher").mkdir(mode=0o755, exist_ok=True)
        super().__init__(box.root / "etc/refresher", bao, mount)
        del self.tables["state"]
        if name:
            self.tables["instance"] = {"name": name}

    @property
    def unit(self) -> str:
        return f"refresher@{self.name}.service" if self.name else UNIT

    @property
    def config(self) -> Path:
        return self.folder / f"{self.name or 'jobs'}.toml"

    def secret(self, name: str, text: str) -> str:
        """Keep `text` in Vault, or as a credential where it is what opens Vault; return the reference to it."""
        self.canaries.planted[f"{name} {len(self.canaries.planted)}"] = text
        if name == "vault":
            self.credential(text)
            return f"credential:refresher{self.suffix}.vault-secret-id"
        self.bao.api("POST", f"{self.mount}/data/clients/{name}", {"data": {"value": text}})
        return f"vault:{self.mount}/clients/{name}#value"

    def credential(self, text: str) -> None:
        """Be the administrator: keep what opens Vault where systemd finds it."""
        self.secret_id = text
        self.box.write(f"/etc/credstore/refresher{self.suffix}.vault-secret-id", text, mode=0o600)

    def write(self) -> None:
        super().write()
        self.config.chmod(0o644)  # whoever the service's user is, he may read it

    def start(self) -> None:
        """Start the service and return when it is ready."""
        self.write()
        done = self.box.run("systemctl", "start", self.unit, check=False)
        assert done.returncode == 0, self.box.log(self.unit)

    @property
    def status(self) -> str:
        return self.box.show(self.unit, "StatusText")[0]

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """Return the entries that match, of this host's time alone."""
        return [one for one in self.box.journal(*matches) if int(one["__REALTIME_TIMESTAMP"]) >= self.began]

    @property
    def log(self) -> str:
        """What systemd and the service said, as people read it."""
        return "\n".join(str(one["MESSAGE"]) for one in self.journal(f"--unit={self.unit}"))

    def close(self) -> None:
        """End what runs. Nothing of what came to the journal shows a secret."""
        self.box.systemctl("stop", self.unit, "refresher-once.timer", "refresher-once.service")
        self.box.systemctl("reset-failed")
        self.outputs.append(json.dumps(self.journal()))
        self.check_outputs()
