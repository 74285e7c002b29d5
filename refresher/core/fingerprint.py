"""Keyed fingerprints: two secrets can be told apart in a log, and neither can be found from there."""

import hmac

from refresher.core.secret import Secret


def fingerprint(key: bytes, *secrets: Secret | str) -> str:
    """Return the first 12 hex digits of the HMAC-SHA256 of `secrets` under `key`."""
    texts = (one.reveal() if isinstance(one, Secret) else one for one in secrets)
    message = b"\0".join(text.encode(errors="surrogatepass") for text in texts)
    return hmac.new(key, message, "sha256").hexdigest()[:12]  # `hmac.digest` lets go of the interpreter's lock for it
