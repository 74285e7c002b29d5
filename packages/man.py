"""Man pages of the command line: refresher(1), and one for each verb. The macros: man(7)."""

from collections.abc import Iterable, Iterator

from packages.surface import Verb, Word
from refresher.cli import EXITS, PURPOSE

FILES = {
    "/etc/refresher/jobs.toml": "The jobs. No secret stands in it, only references to secrets.",
    "/etc/credstore/refresher.vault-secret-id": "The login's secret, which systemd hands to the service alone.",
    "/var/lib/refresher": "The ledger and the journal.",
}
ENVIRONMENT = {
    "REFRESHER_CONFIG": "The file that is read where --config names none.",
    "VAULT_ADDR, BAO_ADDR": "The address of Vault, where jobs.toml names none.",
    "STATE_DIRECTORY": "Where ledger and journal are kept, where jobs.toml names no folder; systemd sets it.",
}


def pages(verbs: tuple[Verb, ...], version: str) -> dict[str, str]:
    """Return the text of each page by the name of its file."""
    made = {"refresher.1": _page("refresher", PURPOSE, _overview(verbs), version)}
    for verb in verbs:
        name = f"refresher-{verb.name}"
        made[f"{name}.1"] = _page(name, verb.about, _of(verb), version)
    return made


def _page(name: str, about: str, body: Iterable[str], version: str) -> str:
    summary = about[0].lower() + about[1:].rstrip(".")
    head = (f'.TH {name.upper()} 1 "" "refresher {version}" "refresher"', ".SH NAME", f"{name} \\- {_plain(summary)}")
    return "\n".join((*head, *body)) + "\n"


def _overview(verbs: tuple[Verb, ...]) -> Iterator[str]:
    yield from (".SH SYNOPSIS", ".B refresher", "\\fIVERB\\fR [\\fIOPTION\\fR]...")
    yield from (".SH DESCRIPTION", _plain(f"refresher {PURPOSE}"), ".SH VERBS")
    yield from _listed({f"\\fBrefresher\\-{verb.name}\\fR(1)": verb.about for verb in verbs})
    yield from (".SH EXIT STATUS", *_listed({f"\\fB{code}\\fR": meaning for code, meaning in EXITS.items()}))
    yield from (".SH FILES", *_listed({f"\\fI{_plain(file)}\\fR": about for file, about in FILES.items()}))
    yield from (".SH ENVIRONMENT", *_listed({f"\\fB{_plain(name)}\\fR": about for name, about in ENVIRONMENT.items()}))
    yield from (".SH SEE ALSO", ".BR systemctl (1),", ".BR journalctl (1),", ".BR systemd\\-creds (1)")


def _of(verb: Verb) -> Iterator[str]:
    arguments = " ".join(f"\\fI{_plain(word.metavar)}\\fR" for word in verb.arguments)
    yield from (".SH SYNOPSIS", f".B refresher {verb.name}", f"[\\fIOPTION\\fR]... {arguments}".rstrip())
    yield from (".SH DESCRIPTION", _plain(verb.about))
    if verb.arguments:
        yield from (
            ".SH ARGUMENTS",
            *_listed({f"\\fI{_plain(word.metavar)}\\fR": word.about for word in verb.arguments}),
        )
    yield from (".SH OPTIONS", *_listed({_option(word): word.about for word in verb.options}))
    yield from (".SH SEE ALSO", ".BR refresher (1),", "for the exit status too")


def _option(word: Word) -> str:
    names = ", ".join(f"\\fB{_plain(name)}\\fR" for name in word.names)
    return f"{names} \\fI{_plain(word.metavar)}\\fR" if word.metavar else names


def _listed(entries: dict[str, str]) -> Iterator[str]:
    for term, about in entries.items():
        yield from (".TP", term, _plain(about))


def _plain(text: str) -> str:
    """Return `text` as roff shows it unchanged: no dash becomes a hyphen, no word at the start of a line a macro."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
