"""What a job adds to a request, takes from a reply, and gives a program: names and texts, none of them a secret.

Rules of this module, beside those of words.py:
- Secrets come by reference alone, and only in keys that take one: what looks like a reference is refused here.
"""

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

from refresher.config import references
from refresher.config.words import BadValueError, absolute, segment, text
from refresher.core import fields as core_fields
from refresher.core.model import Reference

Pairs: TypeAlias = tuple[tuple[str, str], ...]

_MEMBER: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_:/-]{0,126}[A-Za-z0-9_])?")
_BLANK: Final = re.compile(r"[a-z][a-z0-9_]*")  # as the catalogue's addresses name them
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # a token of RFC 9110, section 5.6.2
_HEADER_VALUE: Final = re.compile(r"[!-~](?:[ -~]{0,4094}[!-~])?")
_OWN_HEADER: Final = re.compile(
    r"authorization|proxy-.*|content-.*|host|connection|keep-alive|transfer-encoding|te|trailer|upgrade|expect"
    r"|accept-encoding"
)
_SECRET_HEADER: Final = re.compile(r".*(?:auth|cookie|credential|password|secret|signature|token|api-?key|-key$).*")
_FIELD: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")
LONGEST_FIELD: Final = 4096  # characters, before its members stand in it
OWN_MEMBERS: Final = frozenset(
    ("access_token", "token_type", "expires_at", "expires_at_unix", "issued_at", "scope", "job", "managed_by")
)
_PARAMS: Final = 'must be a table of texts or lists of texts, e.g. { audience = "https://api.example.com" }'
OWN_PARAMS: Final = dict.fromkeys(  # and the key of the job to write instead
    ("response_type", "state", "code_challenge", "code_challenge_method"), "authorize"
) | {
    "grant_type": "grant",
    "client_id": "client_id",
    "client_secret": "client_secret",
    "client_assertion": "client_key",
    "client_assertion_type": "client_auth",
    "username": "username",
    "password": "password",
    "refresh_token": "refresh_token",
    "assertion": "assertion",
    "subject_token": "subject_token",
    "subject_token_type": "subject_token_type",
    "scope": "scope",
}
OWN_CLAIMS: Final = {"iss": "issuer", "sub": "subject", "aud": "audience", "exp": "lifetime", "iat": "lifetime"}
SECRET_PARAMS: Final = frozenset(("actor_token", "api_key", "code", "code_verifier", "device_code"))


def _plain(name: str, item: str) -> None:
    """Raise BadValueError for a reference where nothing would read it."""
    try:
        references.reference(item)
    except BadValueError:
        return
    raise BadValueError(f'"{name}" is a reference to a secret, and none is read here')


def _texts(value: object, example: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise BadValueError(f"must be a table of texts, e.g. {example}")
    return value


def _one_line(pairs: Iterable[tuple[str, str]]) -> None:
    if not all(name and (name + item).isprintable() for name, item in pairs):
        raise BadValueError("names and values must be one line each, without control characters, names not empty")


def params(value: object) -> Pairs:
    """Return extra members of a request; a list is a member that is repeated (RFC 8707, section 2).

    Those that have a key of their own, or carry a secret, are refused.
    """
    if not isinstance(value, dict):
        raise BadValueError(_PARAMS)
    pairs: list[tuple[str, str]] = []
    for name, item in value.items():
        several = item if isinstance(item, list) and item else [item]
        if not all(isinstance(one, str) for one in several):
            raise BadValueError(_PARAMS)
        pairs += ((name, one) for one in several)
    _one_line(pairs)
    for name, one in pairs:
        if name in OWN_PARAMS:
            raise BadValueError(f'"{name}" is set by the job itself; write the key {OWN_PARAMS[name]} of the job')
        if name in SECRET_PARAMS:
            raise BadValueError(f'"{name}" carries a secret; this version takes none in params')
        _plain(name, one)
    return tuple(pairs)


def consent_params(value: object) -> Pairs:
    """Return extra members of the request for consent: a browser comes back to refresher, and to nobody else."""
    pairs = params(value)
    if any(name == "redirect_uri" for name, _ in pairs):
        raise BadValueError('"redirect_uri" is set by refresher itself: write redirect_port')
    return pairs


def several(value: object) -> tuple[str, ...]:
    """Return one text, or a list of them, none twice."""
    items = value if isinstance(value, list) else [value]
    if not items:
        raise BadValueError("must not be empty")
    return tuple(dict.fromkeys(text(item) for item in items))


def headers(value: object) -> Pairs:
    """Return extra headers (RFC 9110, section 5): none that says who asks, or how the request is framed."""
    found = _texts(value, '{ X-Tenant = "acme" }')
    for name, item in found.items():
        if _HEADER.fullmatch(name) is None or _HEADER_VALUE.fullmatch(item) is None:
            raise BadValueError("names must be as in HTTP, and values visible ASCII with single lines of up to 4096")
        lower = name.lower()
        if _OWN_HEADER.fullmatch(lower):
            raise BadValueError(f'"{name}" is set by refresher itself; client_auth says how the client proves itself')
        if _SECRET_HEADER.fullmatch(lower):
            raise BadValueError(f'"{name}" looks like a secret, and this version takes none in headers')
        _plain(name, item)
    if len({name.lower() for name in found}) < len(found):
        raise BadValueError("name a header twice; capitals do not count")
    return tuple(found.items())


def blanks(value: object) -> Pairs:
    """Return `vars`: what stands for each `{name}` of an address, a word that can't break out of its place."""
    found = _texts(value, '{ tenant = "acme" }')
    if not all(_BLANK.fullmatch(name) for name in found):
        raise BadValueError('names are lower case letters, digits and "_", as in {tenant}')
    for name, item in found.items():
        try:
            segment(item)
        except BadValueError as problem:
            raise BadValueError(f"{name} {problem}") from None
    return tuple(found.items())


def environment(value: object) -> str | Pairs:
    """Return the name of a provider's environment, or the variables of a program's environment."""
    if not isinstance(value, dict):
        return text(value)
    found = _texts(value, '{ LANG = "C.UTF-8" }')
    for name, item in found.items():
        if _VARIABLE.fullmatch(name) is None or not item.isprintable():
            raise BadValueError('must be a table of variables, e.g. { LANG = "C.UTF-8" }')
        _plain(name, item)
    return tuple(found.items())


def command(value: object) -> tuple[str, ...]:
    """Return a program with its arguments; no shell reads it."""
    if not isinstance(value, list) or not value:
        raise BadValueError('must be a list: a program and its arguments, e.g. ["/usr/local/bin/fetch-token", "crm"]')
    program, *arguments = value
    return (str(absolute(program)), *(text(argument) for argument in arguments))


def secrets(value: object) -> tuple[tuple[str, Reference], ...]:
    """Return references by the name under which a program gets the secret."""
    if not isinstance(value, dict) or not all(_VARIABLE.fullmatch(name) for name in value):
        raise BadValueError('must be a table of references, e.g. { password = "file:/etc/refresher/crm.password" }')
    found = []
    for name, item in value.items():
        try:
            found.append((name, references.reference(item)))
        except BadValueError as problem:
            raise BadValueError(f"{name}: {problem}") from None
    return tuple(found)


def claims(value: object) -> Pairs:
    """Return further claims of a JWT (RFC 7519, section 4); those that have a key of their own are refused."""
    found = _texts(value, '{ tenant = "acme" }')
    _one_line(found.items())
    for name, item in found.items():
        if name in OWN_CLAIMS or name in {"nbf", "jti"}:
            raise BadValueError(f'"{name}" is set by refresher itself; there is {", ".join(OWN_CLAIMS.values())}')
        _plain(name, item)
    return tuple(found.items())


def uri(value: object) -> str:
    """Return an absolute URI, such as the name of a token's type (RFC 8693, section 3)."""
    if not isinstance(value, str) or _URI.fullmatch(value) is None:
        raise BadValueError('must be a URI, e.g. "urn:ietf:params:oauth:token-type:jwt"')
    return value


def place(value: object) -> str:
    """Return where a reply has a member: its name, or a path of names such as `data.token`."""
    if not isinstance(value, str) or not all(_MEMBER.fullmatch(part) for part in value.split(".")):
        raise BadValueError('must be the name of a member of the reply, or a path of names such as "data.token"')
    return value


def keep(value: object) -> tuple[str, ...]:
    """Return names of reply members to store beside the token; the refresh token lives elsewhere."""
    if not isinstance(value, list):
        raise BadValueError('must be a list of names, e.g. ["id_token"]')
    names = tuple(dict.fromkeys(place(item) for item in value))
    if "refresh_token" in names:
        raise BadValueError('"refresh_token" is never stored where readers look; it has its own state record')
    if taken := sorted(OWN_MEMBERS.intersection(names)):
        raise BadValueError(f'"{taken[0]}" is stored already')
    return names


def fields(value: object) -> Pairs:
    """Return what readers find under which name: texts, in which `{member}` stands for a member that is published."""
    found = _texts(value, '{ token = "{access_token}", header = "Bearer {access_token}" }')
    if not all(_FIELD.fullmatch(name) for name in found):
        raise BadValueError('names are up to 128 letters, digits, "_" and "-"')
    for name, item in found.items():
        if name in core_fields.OWN:
            raise BadValueError(f'"{name}" stands there in any case, as refresher itself reads it')
        if len(item) > LONGEST_FIELD or not item.isprintable():
            raise BadValueError(f"{name} must be one line of at most {LONGEST_FIELD} characters")
        try:
            core_fields.named(item)
        except ValueError:
            raise BadValueError(
                f'{name} has a brace that is not around the name of a member, as in "{{access_token}}"'
            ) from None
        _plain(name, item)
    return tuple(found.items())


def error_ok(value: object) -> tuple[str | int, ...]:
    """Return the values of the error member that mean success."""
    if not isinstance(value, list) or not all(isinstance(item, str | int) for item in value):
        raise BadValueError("must be a list of texts and whole numbers, e.g. [0]")
    if any(isinstance(item, bool) for item in value):
        raise BadValueError("must be a list of texts and whole numbers, e.g. [0]")
    return tuple(value)
