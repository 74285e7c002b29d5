"""Vault and OpenBao: login, key-value secrets, secret references. Importing this loads hvac."""

from refresher.vault.client import Vault, connect
from refresher.vault.references import ReferenceReader

__all__ = ["ReferenceReader", "Vault", "connect"]
