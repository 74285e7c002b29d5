"""Refusals: their codes, whether to try again, and when."""

import pytest

from refresher.core.errors import TransportError
from refresher.core.job import ResponseMap
from refresher.core.model import Rejected
from refresher.core.secret import Secret
from refresher.providers import unanswered
from tests.providers.replies import EPOCH, outcome, refusal, reply, token_of


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"code": "expired"}}, "expired"),
        ({"error": {"code": 403, "message": "no"}}, "403"),
        ({"error": {"type": None, "code": []}}, "http_400"),
        ({"error": {}}, "http_400"),
        ({"error": True, "errorCode": "E1"}, "http_400"),
        ({"error": None, "error_code": 7}, "7"),
        ({"errcode": True}, "http_400"),
        ({"errcode": "0"}, "http_400"),
        ({"errors": []}, "http_400"),
        ({"errors": {"email": "bad"}}, "http_400"),
        ({"errors": ["bad"]}, "http_400"),
        ({"errors": [{}]}, "http_400"),
        ({"errors": [{"errorType": "", "code": "E1"}]}, "E1"),
        ({"error": "a" * 64}, "a" * 64),
        ({"error": "a" * 65}, "other"),
        ({"error": "with space"}, "other"),
        ({"message": "no"}, "http_400"),
    ],
)
def test_codes(body, code):
    assert outcome(reply(body, 400)) == ("permanent", code, None)


@pytest.mark.parametrize(
    "body", [{"error": 0}, {"error_code": 0}, {"errcode": "0"}, {"error": None}, {"errors": []}, {"errorCode": ""}]
)
def test_nothing_is_no_error(body):
    assert token_of(body).access_token.reveal() == "AT"


@pytest.mark.parametrize("body", [{"error": 5}, {"error": []}, {"errors": ["bad"]}, {"errcode": 40125}])
def test_an_error_beats_a_token(body):
    assert refusal(reply({"access_token": "AT"} | body)).kind == "permanent"


@pytest.mark.parametrize(
    ("ok", "value", "code"),
    [((), 0, None), ((), "0", None), ((), 5, "5"), ((1, "fine"), 0, "0"), ((1,), "1", None), (("ok",), "ok", None)],
)
def test_a_mapped_code(ok, value, code):
    job = {"response": ResponseMap(error="code", error_ok=ok)}
    if code is None:
        assert token_of({"code": value}, job=job).flags == ()
        assert refusal(reply({"code": value, "error": "invalid_grant"}), job=job).error == "invalid_grant"
    else:
        assert outcome(reply({"code": value}), job=job) == ("permanent", code, None)


@pytest.mark.parametrize(
    ("challenge", "code"),
    [
        ("Bearer error=invalid_token", "invalid_token"),
        ('Bearer realm="a \\" error=x", ERROR = "invalid_token"', "invalid_token"),
        (["Negotiate", 'Bearer error="expired"'], "expired"),
        ('Bearer error_description="error=x", error=""', "http_401"),
        ('Bearer error="', "http_401"),
        ('Bearer error="no good"', "other"),
    ],
)
def test_a_challenge_speaks_where_the_body_does_not(challenge, code):
    assert outcome(reply(b"<html>", 401, www_authenticate=challenge)) == ("permanent", code, None)
    assert refusal(reply({"error": "invalid_client"}, 401, www_authenticate=challenge)).error == "invalid_client"


@pytest.mark.parametrize("status", [300, 304, 399])
def test_redirects_are_permanent_whatever_they_say(status):
    headers = {"location": "https://elsewhere.example", "retry_after": "5"}
    assert outcome(reply({"error": "slow_down"}, status, **headers)) == ("permanent", f"http_{status}", None)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "permanent"),
        (401, "permanent"),
        (404, "permanent"),
        (501, "permanent"),
        (408, "transient"),
        (409, "transient"),
        (425, "transient"),
        (429, "transient"),
        (500, "transient"),
        (503, "transient"),
        (599, "transient"),
    ],
)
def test_the_status_decides_where_the_code_does_not(status, kind):
    assert refusal(reply(b"", status)) == Rejected(kind=kind, error=f"http_{status}", status=status)
    assert refusal(reply({"error": "invalid_client"}, status)).kind == kind


@pytest.mark.parametrize("status", [200, 201, 400, 401, 403])
def test_some_codes_are_transient_by_any_status(status):
    for code in ("temporarily_unavailable", "Slow_Down", "ratelimited", "fatal_error", "internal_failure", "45011"):
        assert outcome(reply({"error": code}, status, retry_after="7")) == ("transient", code, 7)
    assert outcome(reply({"errcode": -1}, status)) == ("transient", "-1", None)
    assert refusal(reply({"error": "server_error"}, status)).kind == ("permanent" if status > 400 else "transient")


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"retry_after": "5"}, b"", ("transient", "http_403", 5)),
        ({"retry_after": "soon"}, b"", ("permanent", "http_403", None)),
        ({"x_ratelimit_reset": "5"}, b"", ("permanent", "http_403", None)),
        ({"retry_after": "5"}, {"error": "access_denied"}, ("permanent", "access_denied", None)),
    ],
)
def test_a_403_that_says_when_to_return(headers, body, expected):
    assert outcome(reply(body, 403, **headers)) == expected


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry_after": "0"}, None),
        ({"retry_after": "0.2"}, 1),
        ({"retry_after": " 7 "}, 7),
        ({"retry_after": "+7"}, None),
        ({"retry_after": "1e3"}, None),
        ({"retry_after": ["soon", "7", "3"]}, 7),
        ({"retry_after": "Tuesday, 14-Nov-23 22:13:30 GMT"}, 10),
        ({"retry_after": "Tue Nov 14 22:13:30 2023"}, 10),
        ({"retry_after": "Tue, 14 Nov 2023 23:13:30 +0100"}, 10),
        ({"retry_after": "Tue, 99 Nov 2023 22:13:30 GMT"}, None),
        ({"retry_after": "7", "x_ratelimit_reset": "20"}, 7),
        ({"retry_after": "soon", "x_ratelimit_reset": "20"}, 20),
        ({"x_rate_limit_reset": "20", "x_ratelimit_reset": "30.5"}, 31),
        ({"ratelimit_reset": "50"}, 50),
        ({"x_ratelimit_reset": str(EPOCH + 40)}, 40),
        ({"x_ratelimit_reset": str(EPOCH - 40)}, None),
        ({"x_ratelimit_reset": "1000000000"}, None),
        ({"x_ratelimit_reset": "999999999"}, 3600),
    ],
)
def test_when_to_return(headers, wait):
    assert outcome(reply(b"", 429, **headers)) == ("transient", "http_429", wait)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": "server_error", "error_codes": [50196]}, ("permanent", "AADSTS50196")),
        ({"error": "invalid_grant", "error_codes": [50196]}, ("permanent", "invalid_grant")),
        ({"error": "invalid_client", "error_codes": [90006, 7000215]}, ("transient", "AADSTS90006")),
        ({"error": "slow_down", "error_codes": [90012, 90036]}, ("permanent", "AADSTS90036")),
        ({"error": "invalid_client", "error_codes": ["90006"]}, ("permanent", "invalid_client")),
        ({"error": "invalid_client", "error_description": "AADSTS90033: again"}, ("transient", "AADSTS90033")),
        ({"error": "invalid_client", "error_description": "see AADSTS90033"}, ("permanent", "invalid_client")),
        ({"error": "invalid_client", "error_description": 90033}, ("permanent", "invalid_client")),
    ],
)
def test_entra_speaks_in_numbers(body, expected):
    assert outcome(reply(body, 400))[:2] == expected
    assert refusal(reply(body, 503)).error == body["error"]


@pytest.mark.parametrize(("number", "kind"), [(90006, "t"), (90012, "t"), (90024, "t"), (90033, "t"), (90036, "p")])
def test_entra_numbers_that_decide(number, kind):
    code = "invalid_client" if kind == "t" else "slow_down"
    assert refusal(reply({"error": code, "error_codes": [number]}, 400)).kind[0] == kind


@pytest.mark.parametrize(
    ("secret", "code", "shown"),
    [
        ("S3CR3T-CANARY", "S3CR3T-CANARY", "other"),
        ("S3CR3T-CANARY", "bad:S3CR3T-CANARY.", "other"),
        ("S3CR3T-CANARY" * 9, "S3CR3T-CANARY" * 4, "other"),
        ("S3CR3T-C", "x.S3CR3T-C", "other"),
        ("invalid", "invalid", "other"),
        ("invalid", "invalid_client", "invalid_client"),
        ("S3CR3T-CANARY", "S3CR3T-CANAR", "other"),
        ("S3CR3T-CANARY", "x.S3CR3T-CANA", "x.S3CR3T-CANA"),
        ("S3CR3T-CANARY", "invalid_client", "invalid_client"),
    ],
)
@pytest.mark.leak("L21")
def test_a_code_that_repeats_a_secret_is_not_shown(secret, code, shown):
    response = reply({"error": code}, 400)
    assert refusal(response, secrets=[Secret("nothing-of-it"), Secret(secret)]).error == shown
    assert refusal(response, sent_refresh_token=Secret(secret)).error == shown


def test_no_answer_means_try_again():
    for code in ("transport", "deadline"):
        assert unanswered(TransportError(code, "reset", sent=True)) == Rejected(kind="transient", error=code)
