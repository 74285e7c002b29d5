"""How curl and wget cut their words into options and the rest: which of their options take a value."""

from collections.abc import Iterator
from typing import Final

from refresher.migrate.shell import Command

# An option that is missing here leaves its value to be taken for the URL. curl's are those of 8.17, its older ones too.
_CURL_SHORT: Final = "AbCcDdEeFHhKmoPQrTtUuwXxYyz"
_CURL_LONG: Final = frozenset({
    "abstract-unix-socket", "alt-svc", "aws-sigv4", "cacert", "capath", "cert", "cert-type", "ciphers", "config",
    "connect-timeout", "connect-to", "continue-at", "cookie", "cookie-jar", "create-file-mode", "crlfile", "curves",
    "data", "data-ascii", "data-binary", "data-raw", "data-urlencode", "delegation", "dns-interface",
    "dns-ipv4-addr", "dns-ipv6-addr", "dns-servers", "doh-url", "dump-header", "ech", "egd-file", "engine",
    "etag-compare", "etag-save", "expect100-timeout", "form", "form-string", "ftp-account",
    "ftp-alternative-to-user", "ftp-method", "ftp-port", "ftp-ssl-ccc-mode", "happy-eyeballs-timeout-ms",
    "haproxy-clientip", "header", "help", "hostpubmd5", "hostpubsha256", "hsts", "interface", "ip-tos",
    "ipfs-gateway", "json", "keepalive-cnt", "keepalive-time", "key", "key-type", "knownhosts", "krb", "krb4",
    "libcurl", "limit-rate", "local-port", "login-options", "mail-auth", "mail-from", "mail-rcpt", "max-filesize",
    "max-redirs", "max-time", "netrc-file", "noproxy", "oauth2-bearer", "output", "output-dir", "parallel-max",
    "parallel-max-host", "pass", "pinnedpubkey", "preproxy", "proto", "proto-default", "proto-redir", "proxy",
    "proxy-cacert", "proxy-capath", "proxy-cert", "proxy-cert-type", "proxy-ciphers", "proxy-crlfile",
    "proxy-header", "proxy-key", "proxy-key-type", "proxy-pass", "proxy-pinnedpubkey", "proxy-service-name",
    "proxy-tls13-ciphers", "proxy-tlsauthtype", "proxy-tlspassword", "proxy-tlsuser", "proxy-user", "proxy1.0",
    "pubkey", "quote", "random-file", "range", "rate", "referer", "request", "request-target", "resolve", "retry",
    "retry-delay", "retry-max-time", "sasl-authzid", "service-name", "sigalgs", "socks4", "socks4a", "socks5",
    "socks5-gssapi-service", "socks5-hostname", "speed-limit", "speed-time", "ssl-sessions", "stderr",
    "telnet-option", "tftp-blksize", "time-cond", "tls-max", "tls13-ciphers", "tlsauthtype", "tlspassword",
    "tlsuser", "trace", "trace-ascii", "trace-config", "unix-socket", "upload-file", "upload-flags", "url",
    "url-query", "user", "user-agent", "variable", "vlan-priority", "write-out",
})  # fmt: skip
_WGET_SHORT: Final = "ABDIOPQRTUXaeiltow"
_WGET_LONG: Final = frozenset({
    "accept", "accept-regex", "append-output", "base", "bind-address", "body-data", "body-file", "ca-certificate",
    "ca-directory", "certificate", "certificate-type", "ciphers", "compression", "config", "connect-timeout",
    "crl-file", "cut-dirs", "default-page", "directory-prefix", "dns-timeout", "domains", "exclude-directories",
    "exclude-domains", "execute", "follow-tags", "ftp-password", "ftp-user", "header", "http-password", "http-user",
    "ignore-tags", "include-directories", "input-file", "level", "limit-rate", "load-cookies", "local-encoding",
    "method", "output-document", "output-file", "password", "pinnedpubkey", "post-data", "post-file",
    "prefer-family", "private-key", "private-key-type", "progress", "proxy-password", "proxy-user", "quota",
    "read-timeout", "referer", "regex-type", "reject", "reject-regex", "rejected-log", "remote-encoding",
    "report-speed", "restrict-file-names", "retry-on-http-error", "save-cookies", "secure-protocol", "start-pos",
    "timeout", "tries", "use-askpass", "user", "user-agent", "wait", "waitretry", "warc-dedup", "warc-file",
    "warc-header", "warc-max-size", "warc-tempdir",
})  # fmt: skip
_CURL_NAMES: Final = {
    "d": "data", "H": "header", "u": "user", "X": "request", "o": "output", "E": "cert", "x": "proxy", "K": "config",
    "G": "get", "n": "netrc", "F": "form", "T": "upload-file",
}  # fmt: skip
_WGET_NAMES: Final = {"O": "output-document"}


def options(command: Command) -> Iterator[tuple[str, str]]:
    """Yield each option of curl or wget by its long name with its value, and each other word with `""`."""
    curl = command.program == "curl"
    short, long, names = (_CURL_SHORT, _CURL_LONG, _CURL_NAMES) if curl else (_WGET_SHORT, _WGET_LONG, _WGET_NAMES)
    rest = list(command.words[1:])
    while rest:
        word = rest.pop(0)
        if word.startswith("--") and len(word) > len("--"):
            name, equals, value = word[2:].partition("=")
            yield name, value if equals or name not in long else (rest.pop(0) if rest else "")
        elif word.startswith("-") and len(word) > 1 and word != "--":
            for position, letter in enumerate(word[1:], start=1):
                if letter in short:
                    value = word[position + 1 :] or (rest.pop(0) if rest else "")
                    yield names.get(letter, letter + " "), value
                    break
                yield names.get(letter, letter + " "), ""
        elif word != "--":
            yield "", word
