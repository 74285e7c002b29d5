"""A cluster with two daemons on it: one goes through a balancer, the other to one node, which may be a standby.

Each job's token is renewed at a third of its life, so that all come due within any outage of some seconds, and none
dies within one that a fail-over takes.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from tests.e2e.site import RECORD, Daemon, Site
from tests.e2e.waiting import await_requests
from tests.servers.asking import ask
from tests.servers.balancer import balancer
from tests.servers.cluster import Cluster, Node, await_that
from tests.servers.provider import Provider

REFRESHING, PLAIN = 3, 2  # jobs of each daemon with a single-use refresh token, and without any
DELAY_MS = 300  # of the provider's answers: long enough for a fault to find a request under way
HEALED_S = 60


class Post:
    """One daemon, and the jobs that it keeps. `ages` are the seconds after which each is due."""

    def __init__(self, name: str, site: Site, address: str) -> None:
        self.name, self.site = name, site
        self.providers: dict[str, Provider] = {}
        self.ages: dict[str, int] = {}
        self.daemon: Daemon
        site.tables["vault"]["address"] = address

    def add(self, kind: str, number: int, provider: Provider, age: int) -> None:
        job = f"{self.name}-{kind}-{number}"
        self.site.add(job, provider, ttl=3 * age, max_age=f"{age}s")
        self.providers[job], self.ages[job] = provider, age

    def rotations(self, job: str) -> list[tuple[float, int]]:
        """Return when each token was written, and as which version."""
        lines = self.daemon.lines("rotated", job=job)
        return [(datetime.fromisoformat(line["timestamp"]).timestamp(), line["version"]) for line in lines]

    def lag(self, since: float, back: float) -> float:
        """Return how long after Vault was back the last job was served that was due, once each rotated `since` then."""
        lags = [0.0]
        for job, age in self.ages.items():
            await_that(
                lambda job=job: self.rotations(job)[-1][0] > since, f"{job} is not served:\n{self.log}", HEALED_S
            )
            written = [at for at, _ in self.rotations(job)]
            first = next(index for index, at in enumerate(written) if at > since)
            lags.append(written[first] - max(back, written[first - 1] + age))
        return max(lags)

    @property
    def log(self) -> str:
        return "".join(self.daemon.text[-60:])

    def log_of(self, job: str) -> str:
        return "".join(f"{line}\n" for line in self.daemon.lines(job=job))

    def check(self, *, told: str = "") -> int:
        """Fail if something was lost or done twice; return how many rotations there were. The daemon has ended.

        `told`: the error that a job may have been told of. Then a write may have landed of which nobody heard, and the
        same token been written once more, as the next version.
        """
        for job, provider in self.providers.items():
            versions = [version for _, version in self.rotations(job)]
            more = sorted(set(range(1, self.site.versions(job) + 1)) - set(versions))
            twice = [at for at in more if told and self._token_of(job, at) == self._token_of(job, at + 1)]
            assert more == twice, f"{job}: versions {more} more than rotations\n{self.log_of(job)}"
            asked = provider.stats().of(self.site.jobs[job]["client_id"])
            assert asked.outcomes == {"200": len(versions)}, (
                f"{job}: a request more than rotations: {asked.log}\n{self.log_of(job)}"
            )
            assert provider.accepts(self.site.token(job)["access_token"])
            if provider.name == "semansys":
                self._check_record(job, provider, len(versions))
        # A Vault that fails again within a minute is one outage, and a minute of that is told: that is no job's line.
        errors = [line for line in self.daemon.lines(level="error") if "job" in line]
        assert not [line for line in errors if line.get("error") != told], self.log
        assert not self.daemon.lines("expired")
        assert not self.daemon.lines("grant_unknown", "foreign_change")
        return sum(len(self.rotations(job)) for job in self.providers)

    def _token_of(self, job: str, version: int) -> str:
        found = self.site.bao.api("GET", f"{self.site.mount}/data/{self.site.jobs[job]['path']}?version={version}")
        return found["data"]["data"]["access_token"]

    def _check_record(self, job: str, provider: Provider, rotations: int) -> None:
        record = self.site.read(RECORD + job)
        assert record["phase"] == "idle"
        assert int(record["generation"]) >= rotations, "an intent that came to nothing counts too"
        secret = self.site.canaries.planted[f"{job} client secret"]
        words = {"client": f"{job}-client", "secret": secret, "refresh_token": record["refresh_token"]}
        assert ask(provider, grant_type="refresh_token", **words).status_code == 200, "the newest, and not spent"


class House:
    """The cluster, the daemons, the providers; `age` is what the youngest token is renewed at, in seconds."""

    def __init__(self, folder: Path, cluster: Cluster, address: str, providers: tuple[Provider, Provider], age: int):
        self.cluster, self.providers, self.folder = cluster, providers, folder
        self.direct_node = cluster.nodes[2]
        self.posts = [self._post(folder, "balanced", address), self._post(folder, "direct", self.direct_node.address)]
        for post in self.posts:
            for number in range(REFRESHING):
                post.add("refreshing", number, providers[0], age + number)
            for number in range(PLAIN):
                post.add("plain", number, providers[1], age + 1 + number)

    def _post(self, folder: Path, name: str, address: str) -> Post:
        (folder / name).mkdir()
        self.cluster.nodes[0].mount(name)
        self.cluster.nodes[0].api("POST", f"{name}/config", {"max_versions": 1000})  # each is looked at in the end
        return Post(name, Site(folder / name, self.cluster.nodes[0], name), address)

    def lead(self, *, direct: bool) -> Node:
        """Have the node that is asked directly be active, or not; return the one that is."""
        while ((active := self.cluster.await_active()) is self.direct_node) is not direct:
            active.step_down()
            self.cluster.await_active(but=active)
            self.cluster.await_whole()
        return active

    def fault(self, *deeds: Callable[[], object]) -> float:
        """Do all `deeds` as soon as a refresh token is on its way; return when that was."""
        await_requests(self.providers[0], self.providers[0].stats().total + 1)
        since = time.time()
        for deed in deeds:
            deed()
        return since

    def await_due(self) -> None:
        """Return once each job has come due."""
        ends = max(post.rotations(job)[-1][0] + age for post in self.posts for job, age in post.ages.items())
        time.sleep(max(ends - time.time(), 0) + 1)

    def healed(self, since: float, back: float) -> dict[str, float]:
        """Return each daemon's lag after Vault was back, once each job has a new token."""
        return {post.name: round(post.lag(since, back), 1) for post in self.posts}

    def asked(self, since: float) -> dict[str, int]:
        """Return how many requests came for each job since then."""
        counts = {}
        for post in self.posts:
            for job, provider in post.providers.items():
                log = provider.stats().of(post.site.jobs[job]["client_id"]).log
                counts[job] = sum(line.at > since for line in log)
        return counts


@contextmanager
def house(folder: Path, cluster: Cluster, pool: Callable[[str], Provider], age: int) -> Iterator[House]:
    """Run both daemons while the context lasts; at its end nothing may have been lost or done twice."""
    providers = pool("semansys"), pool("node_oauth2")
    for provider in providers:
        provider.control(delay_ms=DELAY_MS)
    with ExitStack() as running:
        address = running.enter_context(balancer(cluster)).address
        one = House(folder, cluster, address, providers, age)
        for post in one.posts:
            post.daemon = running.enter_context(post.site.daemon())
        for post in one.posts:
            for _ in post.ages:
                post.daemon.wait_for("rotated", reason="missing")
        yield one
