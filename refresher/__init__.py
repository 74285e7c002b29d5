"""refresher keeps a live token of each third-party API at its Vault path."""

__version__ = "0.1.0"
