"""Small builders for the values of core/: a job, facts, a held token."""

from datetime import UTC, datetime, timedelta

from refresher.core.job import Job
from refresher.core.model import Location
from refresher.core.policy import Facts, Held

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
PLACE = Location(mount="secret", path="tokens/crm")
STATES = Location(mount="secret", path="refresher/default")
STATE = Location(mount="secret", path="refresher/default/crm")


def a_job(**changes) -> Job:
    values = {
        "name": "crm",
        "provider": "oauth2",
        "token_url": "https://crm.example.com/oauth/token",
        "grant": "client_credentials",
        "client_auth": "basic",
        "client_id": "acme",
        "destinations": (PLACE,),
        "states": STATES,
    }
    return Job(**values | changes)


def a_token_held(lifetime: timedelta = timedelta(hours=1), *, issued_at: datetime = NOW, **changes) -> Held:
    return Held(**{"version": 3, "issued_at": issued_at, "expires_at": issued_at + lifetime} | changes)


def facts_of(*held: Held | None, now: datetime = NOW, **changes) -> Facts:
    return Facts(**{"now": now, "job": a_job(), "holder": "h", "held": held} | changes)
