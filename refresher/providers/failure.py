"""What a refusal means: its code, and whether to try again (permanent, transient).

RFC 6749 section 5.2 names `error` in a JSON body; what is in use is wider, see `code_of`.
"""

import re
from collections.abc import Collection
from datetime import datetime
from http import HTTPStatus
from typing import Final, Literal

from refresher.core.job import ResponseMap
from refresher.core.model import HttpResponse, Rejected
from refresher.core.secret import Secret
from refresher.providers import retry
from refresher.providers.body import Members

NO_CODE: Final = ""  # an error that bears no code of its own: it is called after its HTTP status
_SAFE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_FINE: Final = frozenset("0")  # what a number of success is, where the job does not say otherwise
_SHORT_SECRET: Final = 8  # characters; a shorter one may well be part of an honest code
_TELLING_RUN: Final = 12  # characters that a code and a secret share by no accident

_TRANSIENT_STATUS: Final = frozenset((408, 409, 425, 429))
_TRANSIENT: Final = frozenset(
    (
        "temporarily_unavailable",  # RFC 6749 section 4.1.2.1; google-auth and MSAL try again
        "slow_down",  # RFC 8628 section 3.5
        "authorization_pending",
        "too_many_requests",  # Auth0
        "rate_limit_exceeded",
        "ratelimited",  # Slack, with the next three
        "fatal_error",
        "request_timeout",
        "service_unavailable",
        "internal_failure",  # google-auth tries again
        "-1",  # WeChat: the system is busy
        "45009",  # WeChat: a quota is used up
        "45011",  # WeChat: too many in a minute
    )
)
# Entra ID says in a number what its `error` often says wrongly (AADSTS codes; MSAL's lists).
_AADSTS: Final = re.compile(r"AADSTS([0-9]{4,8})\b", re.ASCII)
_AADSTS_KIND: Final[dict[int, Literal["permanent", "transient"]]] = {
    90036: "permanent",
    50196: "permanent",
    90033: "transient",
    90024: "transient",
    90006: "transient",
    90012: "transient",
}
# One parameter of a challenge, quoted or not, commas forgotten or not; a name begins where no name is under way.
_PARAMETER: Final = re.compile(r'(?<![\w-])([\w-]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^\s,"]++))', re.ASCII)


def code_of(members: Members, where: ResponseMap) -> str | None:
    """Return the error code of a body: None when it states no error, `NO_CODE` when the error bears no code.

    Looked for in this order: the job's own member, `error` (text, or an object with `type` or `code`), `errorCode`
    and its kin, `errcode` (0 is success), and the first of a list `errors`. null, "", false and 0 are no error.
    """
    if where.error is not None:
        holder, name = members.locate(where.error)
        fine = frozenset(str(value) for value in where.error_ok) or _FINE
        if (code := _number_or_text(holder.one(name), fine)) is not None:
            return code
    if (code := _standard(members.one("error"))) is not None:
        return code
    for name in ("errorCode", "error_code", "ErrorCode", "errcode"):
        if (code := _number_or_text(members.one(name))) is not None:
            return code
    return _first(members.one("errors"))


def challenge_code(response: HttpResponse) -> str | None:
    """Return the `error` of a WWW-Authenticate header (RFC 6750 section 3), or None."""
    for challenge in response.header("www-authenticate"):
        for name, quoted, bare in _PARAMETER.findall(challenge):
            if name.lower() == "error" and (quoted or bare):
                return str(quoted or bare)
    return None


def rejected(
    response: HttpResponse, members: Members, code: str, *, now: datetime, secrets: Collection[Secret]
) -> Rejected:
    """Return what the refusal `code` of `response` means; a code that holds one of our `secrets` is not shown."""
    status = response.status
    kind, shown = _kind(response, code, now), code
    if (aadsts := _aadsts(members)) is not None and not _infrastructure(status) and _AADSTS_KIND[aadsts] != kind:
        kind, shown = _AADSTS_KIND[aadsts], f"AADSTS{aadsts}"
    wait = retry.wait(response, now) if kind == "transient" else None
    if shown == NO_CODE:
        shown = f"http_{status}"
    elif _SAFE.fullmatch(shown) is None or any(_echoes(shown, secret.reveal()) for secret in secrets):
        shown = "other"
    return Rejected(kind=kind, error=shown, status=status, retry_after=wait)


def _infrastructure(status: int) -> bool:
    """Whether the status alone decides."""
    return status in _TRANSIENT_STATUS or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _kind(response: HttpResponse, code: str, now: datetime) -> Literal["permanent", "transient"]:
    status, word = response.status, code.lower()
    if _infrastructure(status):
        return "permanent" if status == HTTPStatus.NOT_IMPLEMENTED else "transient"
    forbidden = status == HTTPStatus.FORBIDDEN
    if word in _TRANSIENT:
        return "transient"
    if word == "server_error":  # ServiceNow answers wrong credentials with 401 server_error
        return "permanent" if forbidden or status == HTTPStatus.UNAUTHORIZED else "transient"
    too_fast = forbidden and code == NO_CODE and retry.asked_wait(response, now) is not None  # as GitHub says it
    return "transient" if too_fast else "permanent"


def _aadsts(members: Members) -> int | None:
    """Return the number of Entra ID that decides, permanent ones first, or None."""
    codes, text = members.get("error_codes"), members.get("error_description")
    said = set(codes) if isinstance(codes, list) and all(isinstance(code, int) for code in codes) else set()
    if isinstance(text, str) and (match := _AADSTS.match(text)) is not None:
        said.add(int(match.group(1)))
    return next((number for number in _AADSTS_KIND if number in said), None)


def _standard(error: object) -> str | None:
    """Read the member `error`: numbers there are HTTP statuses (Reddit) or vendors' own, no codes to show."""
    match error:
        case None | "" | False:
            return None
        case str():
            return error
        case dict():
            codes = (_number_or_text(error.get(name)) for name in ("type", "code"))
            return next((code for code in codes if code), NO_CODE)
        case _:
            return None if error == 0 else NO_CODE


def _number_or_text(value: object, fine: frozenset[str] = _FINE) -> str | None:
    match value:
        case None | "" | False:
            return None
        case str() | int() if str(value) in fine:
            return None
        case str():
            return value
        case int() if value is not True:
            return str(value)
        case _:
            return NO_CODE


def _first(errors: object) -> str | None:
    if not isinstance(errors, list) or not errors:
        return None
    first = errors[0]
    if not isinstance(first, dict):
        return NO_CODE
    codes = (_number_or_text(first.get(name)) for name in ("errorType", "code"))
    return next((code for code in codes if code), NO_CODE)


def _echoes(code: str, secret: str) -> bool:
    """Whether `code` is the secret, or shares a run of characters with it that no honest code would."""
    run = min(len(secret), _TELLING_RUN)
    if run < _SHORT_SECRET:
        return code == secret
    return any(code[start : start + run] in secret for start in range(len(code) - run + 1))
