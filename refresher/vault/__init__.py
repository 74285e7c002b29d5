"""Vault and OpenBao: login, key-value secrets, secret references. Importing this loads hvac."""

from refresher.vault.client import Vault

__all__ = ["Vault"]
