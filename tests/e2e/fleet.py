"""A fleet as operators have it: hosts with the same jobs, each a process, and a PostgreSQL that they meet in."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from secrets import token_hex

from refresher.scheduler.guard import key_of
from tests.e2e.crowd import POLICY, Crowd
from tests.e2e.site import RECORD, REFRESHER, Daemon, Site
from tests.servers.postgres import PASSWORD, Base

LEASE, POLL = 3, 1
SCHEMA, NUMBERS = "refresher", 2**64
INVALID = b'{"error": "invalid_grant"}'  # with the status of a reply that is well, which no client may trust
RECORDS = """
path "{mount}/data/refresher/*" {{ capabilities = ["create", "update", "read"] }}
"""


class Strict(Crowd):
    """A provider of single-use refresh tokens: one that is used again costs its client the whole family."""

    def __init__(self, seconds: Callable[[str], int], **more: float) -> None:
        super().__init__(**more)
        self.seconds = seconds
        self.current: dict[str, tuple[str, str]] = {}
        self.spent: set[str] = set()
        self.reused: list[str] = []

    def reply(self, client: str, sent: dict[str, str]) -> bytes:
        token = sent.get("refresh_token")
        if token is not None and token != self.current.get(client, ("", ""))[1]:
            if token in self.spent:
                self.reused.append(client)
                self.current.pop(client, None)
            return INVALID
        self.spent |= set() if token is None else {token}
        self.current[client] = pair = f"AT-{token_hex(16)}", f"RT-{token_hex(16)}"
        words = {"access_token": pair[0], "refresh_token": pair[1], "token_type": "Bearer"}
        return json.dumps(words | {"expires_in": self.seconds(client)}).encode()


class Fleet:
    """The hosts, `site` first; `lives` are all processes so far, by host."""

    def __init__(self, site: Site, base: Base, size: int = 3) -> None:
        self.site, self.base = site, base
        self.hosts = [site, *(site.twin(f"host-{number}") for number in range(2, size + 1))]
        for host in self.hosts:
            secret = host.secret("postgres", PASSWORD)
            host.tables["scheduler"] = {
                "kind": "postgres",
                "postgres": {
                    "dsn": base.node, "password": secret, "lease": f"{LEASE}s", "poll": f"{POLL}s",
                    "guard_idle": "20s", "reconcile": "5s",
                },
            }  # fmt: skip
            host.tables["limits"] = {"per_host": 16, "total": 32}
        self.lives: list[Daemon] = []

    def enrol(self, provider: Strict, names: Iterable[str]) -> None:
        """Add a job of each name, with a password and single-use refresh tokens; have hosts and tables ready."""
        site = self.site
        site.bao.api("POST", f"{site.mount}/config", {"max_versions": 1000})
        secrets = {"client_secret": site.secret("client", "canary-of-a-client-secret")}
        secrets["password"] = site.secret("password", "canary-of-a-users-password")
        for name in names:
            site.jobs[name] = {
                "provider": "semansys", "token_url": provider.urls[0], "client_id": name, "username": "canary-user",
                "path": f"tokens/{name}",
            } | secrets  # fmt: skip
        self.open_to_all()
        self.install()

    def open_to_all(self) -> None:
        """Let each host write whatever the jobs are: a crowd has thousands."""
        for host in self.hosts:
            policy = (POLICY + RECORDS).format(mount=self.site.mount)
            self.site.bao.api("PUT", f"sys/policies/acl/{host.role}", {"policy": policy})
            host.allow = lambda _config: None

    def install(self) -> None:
        for host in self.hosts:
            host.write()
        done = self.site.run("cluster", "install", "--dsn", self.base.owner)
        assert done.returncode == 0, done.stderr

    def start(self, number: int, *program: str) -> Daemon:
        """Start the daemon of a host; `program` is what stands before its command, or in its place."""
        life = Daemon(self.hosts[number], program or REFRESHER)
        self.lives.append(life)
        return life

    def rows(self, status: str) -> list[str]:
        found = self.base.sql("SELECT status, dedupe_key FROM refresher.pgqueuer ORDER BY 2")
        rows = (line.split("|") for line in found.splitlines())
        return [name for known, name in rows if known == status]

    def locked_by(self, number: int) -> set[str]:
        """Return the jobs whose locks the daemon of a host holds."""
        found = self.base.sql(
            "SELECT classid::bigint << 32 | objid::bigint FROM pg_locks JOIN pg_stat_activity USING (pid)"  # noqa: S608  # nothing of it is from outside
            " WHERE locktype = 'advisory' AND granted"
            f" AND application_name = 'refresher guard {self.hosts[number].holder}'"
        )
        names = {key_of(SCHEMA, name) % NUMBERS: name for name in self.site.jobs}
        return {names[int(line) % NUMBERS] for line in found.splitlines()}

    def spent_by(self, number: int) -> set[str]:
        """Return the jobs whose grant the daemon of a host has perhaps spent, by what stands in Vault."""
        holder, records = self.hosts[number].holder, {name: self.site.read(RECORD + name) for name in self.site.jobs}
        return {name for name, one in records.items() if one and (one["phase"], one["holder"]) == ("spending", holder)}

    def close(self) -> None:
        for life in self.lives:
            life.kill()
            self.site.outputs.append("".join(life.text))


@contextmanager
def fleet_of(site: Site, base: Base) -> Iterator[Fleet]:
    fleet = Fleet(site, base)
    try:
        yield fleet
    finally:
        fleet.close()
