"""The kinds of keys that jobs.toml has: how a value is read, what editors are told of it, what people call it."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainValidator
from pydantic.config import JsonDict

from refresher.config import addresses, cron, hook_words, members, references, words
from refresher.core.events import EventName
from refresher.core.job import Margin
from refresher.core.model import Reference

_PATH: Final = f"^{words.SEGMENT}(?:/{words.SEGMENT})*$"
_SPAN: Final = r"^(?=.)(?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?$"
_MARGIN: Final = rf"{_SPAN}|^[0-9]{{1,2}}(?:\.[0-9]{{1,3}})?%$"
_REFERENCE: Final = r"^(?:vault:[^#]+/[^#]+#[^#]+|file:/.+|credential:.+|env:[A-Za-z_][A-Za-z0-9_]*)$"
_LOCAL: Final = r"^(?:file:/.+|credential:.+|env:[A-Za-z_][A-Za-z0-9_]*)$"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a key takes, in words for the reference page."""

    words: str


def _texts(pattern: str) -> Any:  # noqa: ANN401  # a type made at run time, for the schema alone
    return Annotated[str, Field(pattern=pattern)]


def _of(kind: type[list[Any] | dict[str, Any]], pattern: str) -> Any:  # noqa: ANN401  # as above
    return GenericAlias(kind, (str, _texts(pattern)) if kind is dict else (_texts(pattern),))


def _one_of(known: tuple[str, ...]) -> Any:  # noqa: ANN401  # as above
    return GenericAlias(list, (Literal[known],))


def choice(*known: str) -> Any:  # noqa: ANN401  # a validator made of the words
    return PlainValidator(words.one_of(*known), json_schema_input_type=Literal[known])


def optional(meaning: str, *examples: object, otherwise: str | bool | None = None) -> Any:  # noqa: ANN401  # as pydantic's
    """Return a key that may be left out; `otherwise` is what counts then, for editors and the reference page."""
    extra: JsonDict = {} if otherwise is None else {"default": otherwise}
    return Field(default=None, description=meaning, examples=list(examples), json_schema_extra=extra)


def usually(value: object, meaning: str, *examples: object) -> Any:  # noqa: ANN401  # as above
    """Return a key that is `value` where it is left out."""
    return Field(default=value, description=meaning, examples=list(examples))


def flag(meaning: str) -> Any:  # noqa: ANN401  # as above
    """Return a key that is true or, where it is left out, false."""
    return Field(default=None, description=meaning, examples=[True], json_schema_extra={"default": False})


Text: TypeAlias = Annotated[str, PlainValidator(words.text, json_schema_input_type=str), Kind("text")]
Name: TypeAlias = Annotated[str, PlainValidator(words.path, json_schema_input_type=_texts(_PATH)), Kind("path")]
ClusterName: TypeAlias = Annotated[
    str, PlainValidator(words.segment, json_schema_input_type=_texts(f"^{words.SEGMENT}$")), Kind("name")
]
Cluster: TypeAlias = Annotated[str, PlainValidator(words.segment, json_schema_input_type=str), Kind("name")]
Namespace: TypeAlias = Annotated[str, PlainValidator(words.namespace, json_schema_input_type=str), Kind("path")]
Pattern: TypeAlias = Annotated[str, PlainValidator(words.text, json_schema_input_type=str), Kind("text")]
Allowed: TypeAlias = Annotated[str, PlainValidator(words.text, json_schema_input_type=str)]
AllowedSecret: TypeAlias = Annotated[
    str, PlainValidator(words.allowed_secret, json_schema_input_type=_texts(r"^(?:vault|file|credential|env|job):."))
]
AllowedHost: TypeAlias = Annotated[str, PlainValidator(words.allowed_host, json_schema_input_type=str)]
Listen: TypeAlias = Annotated[
    str, PlainValidator(words.listen, json_schema_input_type=str), Kind("HOST:PORT, or absolute path")
]
File: TypeAlias = Annotated[
    Path, PlainValidator(words.absolute, json_schema_input_type=_texts("^/.")), Kind("absolute path")
]
Url: TypeAlias = Annotated[
    str, PlainValidator(addresses.url, json_schema_input_type=_texts("^https?://[^@?#]+$")), Kind("URL")
]
Template: TypeAlias = Annotated[
    str,
    PlainValidator(addresses.template, json_schema_input_type=_texts("^https?://[^@?#]+$")),
    Kind("URL, may hold `{name}`s"),
]
Proxy: TypeAlias = Annotated[
    str, PlainValidator(addresses.proxy, json_schema_input_type=_texts("^https?://[^@?#]+$")), Kind("URL")
]
Span: TypeAlias = Annotated[
    timedelta, PlainValidator(words.span, json_schema_input_type=_texts(_SPAN)), Kind("duration")
]
MarginKey: TypeAlias = Annotated[
    Margin, PlainValidator(words.margin, json_schema_input_type=_texts(_MARGIN)), Kind("duration or percentage")
]
Schedule: TypeAlias = Annotated[
    str, PlainValidator(cron.schedule, json_schema_input_type=_texts(r"^\S+( +\S+){4}$")), Kind("cron expression")
]
Timezone: TypeAlias = Annotated[str, PlainValidator(cron.timezone, json_schema_input_type=str), Kind("time zone")]
SecretKey: TypeAlias = Annotated[
    Reference, PlainValidator(references.reference, json_schema_input_type=_texts(_REFERENCE)), Kind("reference")
]
Secrets: TypeAlias = Annotated[
    tuple[Reference, ...],
    PlainValidator(
        references.pair,
        json_schema_input_type=_texts(_REFERENCE) | Annotated[_of(list, _REFERENCE), Field(min_length=1, max_length=2)],
    ),
    Kind("reference, or list of two"),
]
Subject: TypeAlias = Annotated[
    Reference | references.OtherJob,
    PlainValidator(references.subject, json_schema_input_type=_texts(_REFERENCE[:-2] + "|job:.+)$")),
    Kind('reference, or `"job:NAME"`'),
]
NamedSecrets: TypeAlias = Annotated[
    tuple[tuple[str, Reference], ...],
    PlainValidator(members.secrets, json_schema_input_type=_of(dict, _REFERENCE)),
    Kind("table of references"),
]
Scope: TypeAlias = Annotated[
    tuple[str, ...],
    PlainValidator(words.scopes, json_schema_input_type=str | list[str]),
    Kind("list of texts, or one text with spaces"),
]
Several: TypeAlias = Annotated[
    tuple[str, ...], PlainValidator(members.several, json_schema_input_type=str | list[str]), Kind("text, or list")
]
Params: TypeAlias = Annotated[
    members.Pairs,
    PlainValidator(members.params, json_schema_input_type=dict[str, str | list[str]]),
    Kind("table of texts or lists"),
]
ConsentParams: TypeAlias = Annotated[
    members.Pairs,
    PlainValidator(members.consent_params, json_schema_input_type=dict[str, str | list[str]]),
    Kind("table of texts or lists"),
]
Headers: TypeAlias = Annotated[
    members.Pairs, PlainValidator(members.headers, json_schema_input_type=dict[str, str]), Kind("table of texts")
]
Blanks: TypeAlias = Annotated[
    members.Pairs,
    PlainValidator(members.blanks, json_schema_input_type=_of(dict, f"^{words.SEGMENT}$")),
    Kind("table of words"),
]
Claims: TypeAlias = Annotated[
    members.Pairs, PlainValidator(members.claims, json_schema_input_type=dict[str, str]), Kind("table of texts")
]
Environment: TypeAlias = Annotated[
    str | members.Pairs,
    PlainValidator(members.environment, json_schema_input_type=str | dict[str, str]),
    Kind("text; table of texts for `exec`"),
]
Command: TypeAlias = Annotated[
    tuple[str, ...],
    PlainValidator(members.command, json_schema_input_type=Annotated[list[str], Field(min_length=1)]),
    Kind("list of texts"),
]
Uri: TypeAlias = Annotated[str, PlainValidator(members.uri, json_schema_input_type=str), Kind("URI")]
Place: TypeAlias = Annotated[str, PlainValidator(members.place, json_schema_input_type=str), Kind("name, or `a.b`")]
Keep: TypeAlias = Annotated[
    tuple[str, ...], PlainValidator(members.keep, json_schema_input_type=list[str]), Kind("list of names")
]
Fields: TypeAlias = Annotated[
    members.Pairs,
    PlainValidator(members.fields, json_schema_input_type=_of(dict, r"^(?:[^{}]|\{[^{}]+\})*$")),
    Kind("table of texts"),
]
ErrorOk: TypeAlias = Annotated[
    tuple[str | int, ...],
    PlainValidator(members.error_ok, json_schema_input_type=list[str | int]),
    Kind("list of texts and whole numbers"),
]
Flag: TypeAlias = Annotated[bool, PlainValidator(words.flag, json_schema_input_type=bool), Kind("`true` or `false`")]
LocalSecret: TypeAlias = Annotated[
    Reference,
    PlainValidator(hook_words.secret, json_schema_input_type=_texts(_LOCAL)),
    Kind("reference on this machine"),
]
LocalSecrets: TypeAlias = Annotated[
    tuple[tuple[str, Reference], ...],
    PlainValidator(hook_words.secrets, json_schema_input_type=_of(dict, _LOCAL)),
    Kind("table of references on this machine"),
]
UrlOrSecret: TypeAlias = Annotated[
    str | Reference,
    PlainValidator(hook_words.url, json_schema_input_type=_texts(f"{_LOCAL}|^https?://[^@?#]+$")),
    Kind("URL, or reference on this machine"),
]
Names: TypeAlias = Annotated[
    tuple[str, ...], PlainValidator(hook_words.names, json_schema_input_type=list[str]), Kind("list of names")
]
Events: TypeAlias = Annotated[
    tuple[EventName | Literal["before"], ...],
    PlainValidator(hook_words.events, json_schema_input_type=_one_of(hook_words.EVENTS)),
    Kind("list of events"),
]
Unit: TypeAlias = Annotated[
    str, PlainValidator(hook_words.unit, json_schema_input_type=_texts("^[A-Za-z0-9_][A-Za-z0-9_.@-]*$")), Kind("name")
]
Day: TypeAlias = Annotated[
    date, PlainValidator(hook_words.day, json_schema_input_type=_texts(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")), Kind("date")
]
Requests: TypeAlias = Annotated[int, Field(ge=1, le=1000), Kind("whole number, 1 to 1000")]


class Table(BaseModel):
    """One table: unknown keys are errors, nothing is coerced, no input is shown in an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    def said(self) -> dict[str, Any]:
        """Return the keys that the file names, with their values."""
        return {key: self.__dict__[key] for key in self.model_fields_set}
