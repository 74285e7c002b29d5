"""What a pass leaves for node_exporter: whole, for all to read, and counted on from pass to pass."""

import stat
from datetime import timedelta
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from refresher.core.events import Event
from refresher.core.settings import Auth, Cluster, Settings
from refresher.web.textfile import Textfile
from tests.rotation.house import House, many
from tests.rotation.stage import IDENTITY

ROTATED = Event(name="rotated", job="job-0000", fields={"outcome": "rotated"})


def values(text: str) -> dict[tuple[str, ...], float]:
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    return {(one.name, *one.labels.values()): one.value for one in samples}


@pytest.fixture
def left(tmp_path):
    """Leave a pass over two jobs in a file, and return what it says."""
    file = tmp_path / "refresher.prom"

    async def leave(*events: Event) -> dict[tuple[str, ...], float]:
        house = House(*many(2))
        await house.once()
        cluster = Cluster(address="http://127.0.0.1:1", auth=Auth(method="token"))
        settings = Settings(file=tmp_path / "jobs.toml", state_dir=tmp_path, clusters={"": cluster}, jobs=house.jobs)
        stores = {"": SimpleNamespace(life_left=timedelta(hours=1))}
        text = Textfile(file)
        for event in events:
            text.metrics.tell(event)
        calls = SimpleNamespace(dropped={"hook_events": 0})
        parts = SimpleNamespace(settings=settings, identity=IDENTITY, clock=house.clock, stores=stores, calls=calls)
        text.write(parts, house.roster)
        return values(file.read_text())

    leave.file = file
    return leave


async def test_it_says_how_each_job_stands_and_anybody_may_read_it(left):
    said = await left(ROTATED)
    assert said["refresher_job_state", "job-0001", "fresh"] == 1
    assert said["refresher_token_alive", "job-0000"] == 1
    assert said["refresher_vault_up", "default"] == 1
    assert stat.S_IMODE(left.file.stat().st_mode) == 0o644
    assert not [name for name, *_ in said if name.startswith(("process_", "python_"))], "node_exporter has its own"
    assert [one.name for one in left.file.parent.glob("*.prom")] == ["refresher.prom"], "no draft is collected"
    assert not list(left.file.parent.glob(".refresher.prom*"))


async def test_counts_go_on_from_pass_to_pass(left):
    first = await left(ROTATED)
    second = await left(ROTATED, ROTATED)
    for name in (("refresher_rotations_total", "job-0000"), ("refresher_events_total", "rotated", "info")):
        assert (first[name], second[name]) == (1, 3)
    attempts = {name: value for name, value in second.items() if name[0] == "refresher_attempts_total"}
    assert list(attempts.values()) == [3]
    assert second["refresher_rotations_total", "job-0001"] == 0


@pytest.mark.parametrize("text", [b"\xff\xfe", b"no metrics {", b"refresher_rotations_total NaN\n", b""])
async def test_a_file_of_somebody_elses_is_replaced(left, text):
    left.file.write_bytes(text)
    assert (await left(ROTATED))["refresher_rotations_total", "job-0000"] == 1


async def test_a_place_that_takes_no_file_is_an_error_of_the_system(left):
    left.file.mkdir()
    with pytest.raises(OSError, match="directory"):
        await left(ROTATED)
