"""Which refusals are of the client: then, and only then, its next secret is worth a try."""

import pytest

from refresher.core.model import Rejected
from refresher.providers import refuses_client


@pytest.mark.parametrize(
    ("error", "status", "kind", "of_client"),
    [
        ("invalid_client", 401, "permanent", True),
        ("invalid_client", 400, "permanent", True),
        ("http_401", 401, "permanent", True),
        ("Forbidden", 401, "permanent", True),  # Screening Eagle
        ("server_error", 401, "permanent", True),  # ServiceNow
        ("invalid_grant", 401, "permanent", False),
        ("invalid_request", 401, "permanent", False),
        ("unauthorized_client", 401, "permanent", False),
        ("access_denied", 401, "permanent", False),
        ("http_400", 400, "permanent", False),
        ("http_403", 403, "permanent", False),
        ("invalid_client", 503, "transient", False),
        ("slow_down", 401, "transient", False),
        ("body", 401, "malformed", False),
    ],
)
def test_refusals_of_the_client(error, status, kind, of_client):
    assert refuses_client(Rejected(kind=kind, error=error, status=status)) is of_client
