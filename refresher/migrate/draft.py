"""Makes jobs of what a line does: provider, client, grant, request, reply, place. What can't be told is said in words.

Rules of this module:
- A member of a request is shown only where its name says that it is no secret; of all others only the name is.
- A job is drafted where the request's URL and grant are known, so that `refresher check` accepts it; else a reason is.
"""

import json
import re
from collections.abc import Mapping
from typing import Final

from refresher.config import addresses
from refresher.config.words import BadValueError
from refresher.core.job import GrantName
from refresher.migrate.client import MISSING, Keys, client
from refresher.migrate.line import Line
from refresher.migrate.marks import has_mark
from refresher.migrate.recognise import Found, recognise
from refresher.migrate.web import Call, Member, form, split

_GRANTS: Final[Mapping[str, GrantName]] = {
    "client_credentials": "client_credentials",
    "password": "password",
    "refresh_token": "refresh_token",
    "urn:ietf:params:oauth:grant-type:token-exchange": "token_exchange",
}
_SHOWN: Final = ("audience", "resource")  # keys of a job
_PARAMS: Final = frozenset(
    {"account_id", "tenant", "tenant_id", "organization", "realm", "connection", "requested_token_type"}
)
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TOKEN_PATH: Final = re.compile(r"token|oauth|openid-connect", re.IGNORECASE)
_USUAL_HEADERS: Final = frozenset(
    {
        "content-type",
        "content-length",
        "accept",
        "accept-encoding",
        "authorization",
        "user-agent",
        "cache-control",
        "host",
    }
)


class UntoldError(Exception):
    """No job can be made of a request; the text says why."""


def asks_for_token(call: Call, line: Line) -> bool:
    """Whether `call` is a token request, or looks like one."""
    if any("grant_type" in text for text in (*call.urls, *call.bodies)) or any(
        m.name == "grant_type" for m in call.members
    ):
        return True
    urls = [_bare(line.context.text(url) or "") for url in call.urls]
    return any(
        _TOKEN_PATH.search(split(url).path) or recognise(url, None, ()).provider.name != "oauth2" for url in urls
    )


def job(line: Line, call: Call, name: str) -> Keys:
    """Return the keys of the job `name`, all but its place; raise UntoldError."""
    if call.hidden:
        raise UntoldError(call.hidden[0])
    url = line.context.text(call.url)
    if url is None:
        raise UntoldError("its URL stands in a variable that the crontab does not set")
    try:
        addresses.url(_bare(url))
    except BadValueError as problem:
        raise UntoldError(f"its URL {problem}") from None
    members = _members(call, line)
    grant = _grant(members, line)
    found = recognise(_bare(url), grant, members)
    grant = grant or found.provider.grant
    if grant is None:
        raise UntoldError("no grant_type is to be seen")
    keys = Keys(name, line.context)
    call.user = call.user or split(url).netloc.rpartition("@")[0]
    keys.table |= {"provider": found.provider.name, **found.keys}
    if grant != found.provider.grant:
        keys.table["grant"] = grant
    _client(keys, call, members, found)
    _of_grant(keys, grant, members)
    _request(keys, call, members, found)
    return keys


def _client(keys: Keys, call: Call, members: dict[str, Member], found: Found) -> None:
    at = len(keys.table)
    client_auth = client(keys, call, members)
    usual = found.provider.client_auth
    if client_auth != usual and not (client_auth == "basic" and usual == "basic_raw"):
        table = list(keys.table.items())
        keys.table = dict([*table[:at], ("client_auth", client_auth), *table[at:]])


def _bare(url: str) -> str:
    """Return a URL without what may be secret in it."""
    parts = split(url if "://" in url else f"https://{url}" if url else "")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _members(call: Call, line: Line) -> dict[str, Member]:
    """Return the members of the request by name, whether they stand in the URL, in a form or in JSON."""
    query = split(line.context.text(call.url) or "").query
    found = [*form(query), *call.members]
    for body in call.bodies:
        if body.lstrip().startswith("{"):
            found += _json(body)
        elif has_mark(body) and "=" not in body:
            raise UntoldError("what it sends stands in a variable that the crontab does not set")
        else:
            found += form(body)
    return {member.name: member for member in found}


def _json(body: str) -> list[Member]:
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        raise UntoldError("the JSON that it sends can not be read") from None
    if not all(isinstance(value, (str, int)) for value in whole.values()):
        raise UntoldError("the JSON that it sends is nested")
    return [Member(name=name, word=str(value)) for name, value in whole.items()]


def _grant(members: dict[str, Member], line: Line) -> GrantName | None:
    member = members.pop("grant_type", None)
    if member is None:
        return None
    text = line.context.text(member.word) or ""
    if text.endswith("jwt-bearer"):
        raise UntoldError("its grant is a JWT that something signs: see the guide to signed grants")
    if text not in _GRANTS:
        raise UntoldError("its grant_type is none that refresher knows, or stands elsewhere")
    return _GRANTS[text]


def _of_grant(keys: Keys, grant: GrantName, members: dict[str, Member]) -> None:
    match grant:
        case "password":
            keys.public("username", members.pop("username", Member(name="", word="")).word)
            needed = "password"
        case "refresh_token":
            needed = "refresh_token"
            keys.notes.append(
                "refresh_token: it is the first one; those that follow refresher keeps by itself. "
                "Stop the cron line before refresher starts: two users of one refresh token kill it"
            )
        case "token_exchange":
            needed = "subject_token"
            if kind := members.pop("subject_token_type", None):
                keys.public("subject_token_type", kind.word)
        case _:
            return
    member = members.pop(needed, None)
    if member is None:
        raise UntoldError(f"no {needed} is to be seen")
    keys.secret(needed, member.word, of_file=member.file)


def _request(keys: Keys, call: Call, members: dict[str, Member], found: Found) -> None:
    scope = members.pop("scope", None)
    text = keys.context.text(scope.word) if scope is not None else None
    if text and tuple(text.split()) != found.provider.scope:
        keys.table["scope"] = text.split()
    elif scope is not None and not text:
        keys.notes.append("scope: the crontab does not say it; put it in")
    for key in _SHOWN:
        if key in members:
            keys.public(key, members.pop(key).word)
    params = {}
    for name in sorted(members.keys() & _PARAMS):
        value = keys.context.text(members.pop(name).word)
        params[name] = value if value and value.isprintable() else MISSING
    if params:
        keys.table["params"] = params
    for name, member in members.items():
        told = _NAME.fullmatch(name) and member.word.strip("=")  # the `=` at the end of a Base64 text names nothing
        shown = name if told else "a member whose name could not be told"
        keys.notes.append(f"the line also sends {shown}: write it into params if it is needed and no secret")
    for name, _ in call.headers:
        if name not in _USUAL_HEADERS:
            shown = f"the header {name}" if _NAME.fullmatch(name) else "a header whose name could not be told"
            keys.notes.append(f"the line also sends {shown}: write it into headers if it is no secret")
    _way(keys, call, found)


def _way(keys: Keys, call: Call, found: Found) -> None:
    sent = bool(call.bodies or call.members) and not call.in_url
    if call.in_url or call.method.upper() == "GET" or not (sent or call.method):
        keys.table["method"] = "GET"
    body = "json" if any(each.lstrip().startswith("{") for each in call.bodies) else "form"
    if body != found.provider.body and sent:
        keys.table["body"] = body
    for key, path in call.files.items():
        text = keys.context.text(path)
        if text and re.fullmatch(r"(?:/[A-Za-z0-9_@+-][A-Za-z0-9_.@+-]*)+", text):
            keys.table[key] = text
        else:
            keys.notes.append(f"{key}: the line names a file by no absolute path; write its path")
    if call.proxy:
        keys.notes.append("proxy: the line goes through a proxy; name it")
