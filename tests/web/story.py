"""A day in the life of some jobs, as a person would find it on the page: most are well, a few are not."""

from datetime import UTC, datetime, timedelta

from refresher.core.model import HttpResponse
from tests.fakes.clock import VirtualClock
from tests.fakes.http import answer
from tests.fakes.provider import Asked
from tests.rotation.house import job
from tests.web.stage import Stage

DAY = timedelta(hours=24)
NAMES = (
    "billing/invoices", "billing/ledger", "crm", "crm-sandbox", "erp.orders", "erp.stock", "fleet", "geo", "hr/payroll",
    "hr/time", "identity", "mail", "maps", "marketing/ads", "marketing/social", "orders-eu", "orders-us", "parcels",
    "payments", "phone", "photos", "planning", "prices", "quality", "reports", "screening", "search", "semansys-pre",
    "semansys-prod", "shop", "signing", "sms", "smartdocumentor", "storage", "tax", "tickets", "tracking", "travel",
    "video", "weather",
)  # fmt: skip
LIFETIMES = (3600, 3600, 7200, 1800, 28_800, 86_400 * 7, 900)


def stage(folder, count: int) -> Stage:
    """Return a stage on which the day ends about now."""
    names = NAMES if count <= len(NAMES) else [f"job-{number:04}" for number in range(count)]
    jobs = [job(name, f"{name.replace('/', '-')}-id") for name in names[:count]]
    clock = VirtualClock(datetime.now(UTC).replace(microsecond=0) - DAY)
    made = Stage(folder, *jobs, clock=clock)
    provider = made.house.provider
    provider.lifetimes = {one.name: LIFETIMES[number % len(LIFETIMES)] for number, one in enumerate(jobs)}
    if count > 3:
        provider.lifetimes |= {
            "sms": 60,
            "mail": 3600,
            "payments": 28_800,
            "parcels": 3600,
            "crm": 7200,
            "tracking": 900,
        }
        provider.refuse = faults(clock)
    return made


def faults(clock: VirtualClock):
    """Return what goes wrong in that day, as FakeProvider.refuse."""
    began = clock.now()

    def refuse(asked: Asked) -> HttpResponse | None:
        hours = (clock.now() - began) / timedelta(hours=1)
        match asked.client:
            case "crm" if 9 < hours < 11.3:
                return answer(503, {"error": "temporarily_unavailable"})
            case "parcels" if hours > 22.6:
                return answer(401, {"error": "invalid_client"})
            case "mail" if hours > 22.9:
                return answer(503, {"error": "temporarily_unavailable"})
            case "payments" if hours > 19:
                return answer(401, {"error": "invalid_client"})
            case "tracking" if 4 < hours < 4.4:
                return answer(429, {"error": "slow_down"})
        return None

    return refuse
