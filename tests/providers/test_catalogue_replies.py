"""The recorded replies of each provider, read as its row of the catalogue says."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from refresher.providers import catalogue, explain, interpret
from tests.providers.corpus import LINES, Line
from tests.providers.replies import SENT, reply

# How the names of a provider's lines begin. The first that fits counts.
PREFIXES: Final = {
    "okta-": "okta",
    "auth0-": "auth0",
    "azure-": "entra-id",
    "google-auth-": "google-service-account",
    "google-jwt-": "google-service-account",
    "google-": "google",
    "github-": "github-user",
    "slack-": "slack",
    "salesforce-": "salesforce",
    "servicenow-": "servicenow",
    "paypal-": "paypal",
    "zoom-": "zoom",
    "keycloak-": "keycloak",
    "cognito-": "cognito",
    "zoho-": "zoho",
    "marketo-": "marketo",
    "ebay-": "ebay",
    "apigee-": "apigee",
    "shopify-": "shopify",
    "intuit-": "quickbooks",
    "fitbit-": "fitbit",
    "strava-": "strava",
    "twitch-": "twitch",
    "reddit-": "reddit",
    "twitter-": "x",
    "smartdocumentor-": "smartdocumentor",
    "screening-eagle-": "screening-eagle",
}
RECORDED: Final = [
    (line, next(name for prefix, name in PREFIXES.items() if line.id.startswith(prefix)))
    for line in LINES
    if line.id.startswith(tuple(PREFIXES)) and not line.needs_socket and line.raw["kind"] == "real"
]
OTHER_USERS: Final = {"zoom": "zoom-user"}  # rows that share a token endpoint


def test_each_of_these_providers_has_a_line():
    assert {name for _, name in RECORDED} == set(PREFIXES.values())
    assert len(RECORDED) > 45


@pytest.mark.parametrize(("line", "name"), RECORDED, ids=lambda value: value.id if isinstance(value, Line) else "")
def test_a_recorded_reply_comes_out_as_recorded(line: Line, name: str):
    row = catalogue()[name]
    job = replace(line.job, provider=name, response=row.response)
    verdict = line.interpret(job)
    assert line.shown(verdict) == line.expected
    if line.expected["outcome"] != "accept":
        told = explain(name, verdict)
        assert told.startswith(f"{verdict.error}: ")
        assert told.isprintable()


def test_what_was_seen_says_so():
    """`corpus` stands in a row where a line of it was read in a real answer, as the recording vouches."""
    seen = {name for line, name in RECORDED if line.raw["verified"] in (True, "partial")}
    seen |= {twin for name, twin in OTHER_USERS.items() if name in seen}
    assert {row.name for row in catalogue().values() if "corpus" in row.verified} == seen


def test_salesforce_states_no_lifetime_and_the_row_does():
    line = next(line for line in LINES if line.id == "salesforce-no-expires")
    row = catalogue()["salesforce"]
    token = line.interpret(replace(line.job, lifetime=row.lifetime)).token
    assert token.expires_in == 7200


def test_an_installation_token_of_github_is_read_by_its_row():
    """As docs.github.com shows it: `token`, and the moment of its end; 201 for Created."""
    row = catalogue()["github-app"]
    ends = (SENT + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {"token": "ghs_16C7e42F292c6912E7710c838347Ae178B4a", "expires_at": ends, "permissions": {"issues": "write"}}
    job = replace(LINES[0].job, provider=row.name, response=row.response)
    token = interpret(reply(body, 201), job, sent_at=SENT).token
    assert (token.access_token.reveal(), token.expires_in) == (body["token"], 3600)


@pytest.mark.parametrize(
    ("line_id", "word"),
    [
        ("servicenow-401-server_error", "password"),
        ("zoho-error-200", "data center"),
        ("github-form-error-200", "settings page"),
        ("google-revoked", "six months"),
        ("salesforce-invalid_grant-lockout", "locked out"),
    ],
)
def test_a_provider_s_own_words_explain_its_refusals(line_id, word):
    line, name = next(pair for pair in RECORDED if pair[0].id == line_id)
    assert word in explain(name, line.interpret())
