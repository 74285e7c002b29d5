"""How a token is asked for, how the reply is read, and what is known of each provider. Pure."""

from refresher.providers.explain import explain
from refresher.providers.provider import Provider, catalogue, example
from refresher.providers.reply import interpret, unanswered
from refresher.providers.request import build, has_special_characters

__all__ = [
    "Provider",
    "build",
    "catalogue",
    "example",
    "explain",
    "has_special_characters",
    "interpret",
    "unanswered",
]
