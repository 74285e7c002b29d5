"""How a token is asked for, how the reply is read, and what is known of each provider. Pure."""

from refresher.providers.client_auth import Proof, has_special_characters, prove, refuses_client
from refresher.providers.explain import explain
from refresher.providers.provider import Provider, catalogue, example
from refresher.providers.reply import interpret, unanswered
from refresher.providers.request import build

__all__ = [
    "Proof",
    "Provider",
    "build",
    "catalogue",
    "example",
    "explain",
    "has_special_characters",
    "interpret",
    "prove",
    "refuses_client",
    "unanswered",
]
