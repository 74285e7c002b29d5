"""The consent pages as a person sees them: in Chromium, with the scripts that a real server's pages have."""

import pytest

from tests.e2e.chromium import chromium
from tests.e2e.terminal import on_terminal
from tests.e2e.test_authorize import BROWSER, COMPLETE

pytestmark = [pytest.mark.e2e, pytest.mark.host]


@pytest.fixture
def browser(tmp_path):
    with chromium(tmp_path / "profile") as one:
        yield one


@pytest.fixture
def crm(site, oidc_consent):
    def make(flow, endpoint):
        site.add(
            "crm", oidc_consent, grant="refresh_token", authorize={"flow": flow, "url": oidc_consent.url + endpoint}
        )
        site.write()

    return make


def sign_in(browser, provider) -> None:
    browser.wait_for("Sign-in")
    browser.type("login", provider.username)
    browser.type("password", provider.password)
    browser.press("Sign-in", "Continue")


def test_by_device_code(site, oidc_consent, browser, crm):
    crm("device_code", "/device/auth")
    with on_terminal(site, "authorize", "crm") as terminal:
        browser.open(terminal.wait_for(COMPLETE).group(1))
        browser.press("Confirm", "Continue")
        sign_in(browser, oidc_consent)
        browser.press("Authorize", "Continue")
        browser.wait_for("Done")
        assert terminal.end() == 0, terminal.text
    assert oidc_consent.accepts(site.token("crm")["access_token"])


def test_by_authorization_code(site, oidc_consent, browser, crm):
    crm("authorization_code", "/auth")
    with on_terminal(site, "authorize", "crm") as terminal:
        browser.open(terminal.wait_for(BROWSER).group(1))
        sign_in(browser, oidc_consent)
        browser.press("Authorize", "Continue")
        assert "You can close this window" in browser.wait_for("refresher")
        assert terminal.end() == 0, terminal.text
    assert oidc_consent.accepts(site.token("crm")["access_token"])


def test_a_person_who_cancels(site, oidc_consent, browser, crm):
    crm("authorization_code", "/auth")
    with on_terminal(site, "authorize", "crm") as terminal:
        browser.open(terminal.wait_for(BROWSER).group(1))
        sign_in(browser, oidc_consent)
        browser.press("Authorize", "Cancel")
        assert "You can close this window" in browser.wait_for("refresher")
        assert terminal.end() == 1
    assert "access_denied" in terminal.text
    assert site.token("crm") is None
