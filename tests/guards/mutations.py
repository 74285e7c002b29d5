"""Each guard of docs/explanation/leaks.md, taken away: what is changed in the code, and a test that must fail then."""

from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Mutation:
    """`old` stands once in `file`; with `new` in its place `test` (file and name below tests/) must fail."""

    row: str
    file: str
    old: str
    new: str
    test: str


LOG = "host/test_log.py::test_no_library_is_quoted_even_at_debug"
LOCAL = "host/test_log.py::test_no_local_is_ever_shown"
KERNEL = "host/test_process.py::test_the_kernel_agrees"
TRAPS = "wire/test_wire.py::test_nothing_of_the_environment_steers_it"
ALLOW = "config/test_allow.py::test_what_is_beyond_the_list_is_refused_and_named"

ASKED = "        reply = await self._transport.handle_async_request(asked)\n"
FOLLOWED = (
    '        if there := reply.headers.get("location"):\n'
    "            asked = httpx.Request(request.method, there, headers=headers, content=request.body)\n"
    "            reply = await self._transport.handle_async_request(asked)\n"
)

MUTATIONS = (
    Mutation(
        "L1",
        "refresher/host/log.py",
        "LIBRARY_MESSAGE, logger=record.name,",
        "LIBRARY_MESSAGE, said=record.getMessage(), logger=record.name,",
        LOG,
    ),
    Mutation(
        "L1",
        "refresher/config/addresses.py",
        'if "@" in parts.netloc:',
        "if not parts.netloc:",
        "config/test_addresses.py::test_refused",
    ),
    Mutation(
        "L1",
        "refresher/config/addresses.py",
        'if "?" in value or "#" in value:',
        'if "#" in value:',
        "config/test_addresses.py::test_refused",
    ),
    Mutation(
        "L2",
        "refresher/http.py",
        "cookie_jar=aiohttp.DummyCookieJar()",
        "cookie_jar=aiohttp.CookieJar(unsafe=True)",
        "wire/test_wire.py::test_no_cookie_is_kept",
    ),
    Mutation("L3", "refresher/host/log.py", "[_Bridge(logging.WARNING)]", "[_Bridge(logging.DEBUG)]", LOG),
    Mutation(
        "L4",
        "refresher/http.py",
        "            body = bytearray()\n",
        "            body = bytearray()\n            reply.raise_for_status()\n",
        "wire/test_wire.py::test_a_reply_comes_as_it_was_sent",
    ),
    Mutation(
        "L5",
        "refresher/http.py",
        'raise TransportError("transport", why_of(error), sent=progress.sent, stale=progress.stale) from None',
        'raise TransportError("transport", str(error), sent=progress.sent) from error',
        "wire/test_why.py::test_every_foreign_exception_becomes_a_transport_error",
    ),
    Mutation(
        "L6",
        "refresher/http.py",
        "            self._check(request)\n",
        "",
        "wire/test_wire.py::test_a_header_that_none_may_be_is_refused_unquoted",
    ),
    Mutation(
        "L6",
        "refresher/host/credentials.py",
        'return _NEWLINE.sub("", body.decode())',
        "return body.decode()",
        "host/test_credentials.py::test_a_file_is_read_without_the_newline_that_ends_it",
    ),
    Mutation(
        "L7",
        "refresher/vault/answers.py",
        'message = f"{what}: {row.message} (HTTP {reply.status})"',
        'message = f"{what}: {reply.body} (HTTP {reply.status})"',
        "vault/test_answers.py::test_no_text_of_an_answer_is_handed_on",
    ),
    Mutation("L8", "refresher/host/lines.py", "isinstance(error, RefresherError)", "True", LOCAL),
    Mutation(
        "L8",
        "refresher/cli/_call.py",
        "unexpected {type(problem).__name__}",
        "unexpected {problem!r}",
        "cli/test_main.py::test_an_unexpected_exception_shows_its_type_and_nothing_of_its_values",
    ),
    Mutation(
        "L9",
        "refresher/host/lines.py",
        "{trace.tb_lineno} {code.co_qualname}",
        "{trace.tb_lineno} {code.co_qualname} {trace.tb_frame.f_locals}",
        "host/test_lines.py::test_an_exception_is_types_and_our_frames",
    ),
    Mutation(
        "L10",
        "refresher/config/mistakes.py",
        "problems = error.errors(include_url=False, include_input=False)",
        'problems = [{**one, "ctx": {"error": one["input"]}, "type": "value_error"} for one in error.errors()]',
        "config/test_no_secret_is_shown.py::test_in_any_key_of_a_job",
    ),
    Mutation(
        "L11",
        "refresher/host/log.py",
        "    logging.raiseExceptions = False\n",
        "",
        "host/test_log.py::test_nothing_reaches_standard_error_verbatim",
    ),
    Mutation(
        "L12",
        "refresher/cli/_token.py",
        'metavar="REF"',
        'metavar="TOKEN"',
        "cli/test_arguments.py::test_an_option_for_a_secret_takes_a_reference_to_it",
    ),
    Mutation("L13", "refresher/host/process.py", "    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n", "", KERNEL),
    Mutation("L13", "refresher/host/process.py", "prctl(PR_SET_DUMPABLE, 0,", "prctl(PR_SET_DUMPABLE, 1,", KERNEL),
    Mutation("L14", "refresher/host/process.py", '("SSLKEYLOGFILE", ', "(", KERNEL),
    Mutation("L23", "refresher/host/process.py", ', "SSL_CERT_FILE", "SSL_CERT_DIR")', ",)", KERNEL),
    Mutation(
        "L14", "refresher/tls.py", "ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)", "ssl.create_default_context()", TRAPS
    ),
    Mutation(
        "L15",
        "refresher/http.py",
        "            timeout=aiohttp.ClientTimeout(),\n            trust_env=False,",
        "            timeout=aiohttp.ClientTimeout(),\n            trust_env=True,",
        TRAPS,
    ),
    Mutation(
        "L17",
        "refresher/http.py",
        ASKED,
        ASKED + FOLLOWED,
        "wire/test_wire.py::test_no_redirect_is_followed",
    ),
    Mutation(
        "L18",
        "refresher/http.py",
        ASKED,
        ASKED + FOLLOWED,
        "vault/test_redirect.py::test_no_redirect_takes_the_token_along",
    ),
    Mutation(
        "L19",
        "refresher/vault/adapter.py",
        "        self._token = token\n",
        '        self._token = token or Secret(__import__("os").environ.get("VAULT_TOKEN", ""))\n',
        "vault/test_auth.py::test_an_approle_login_sends_its_credentials_and_no_token",
    ),
    Mutation(
        "L20",
        "refresher/scheduler/apscheduler.py",
        "            id=BELL,\n",
        "            id=BELL,\n            kwargs=dict(self._deadlines),\n",
        "contract/test_scheduler.py::test_apscheduler_is_given_nothing_but_the_time",
    ),
    Mutation(
        "L21",
        "refresher/providers/failure.py",
        "is None or any(_echoes(shown, secret.reveal()) for secret in secrets)",
        "is None",
        "providers/test_failure.py::test_a_code_that_repeats_a_secret_is_not_shown",
    ),
    Mutation(
        "L22",
        "refresher/host/lines.py",
        "ensure_ascii=True",
        "ensure_ascii=False",
        "host/test_lines.py::test_any_value_makes_one_line_of_json",
    ),
    Mutation(
        "L22",
        "refresher/host/lines.py",
        "    if text.isprintable():\n        return text\n    return",
        "    return text\n    return",
        "host/test_lines.py::test_any_value_makes_one_printable_line_for_people",
    ),
    Mutation(
        "L24",
        "refresher/tls.py",
        "    made.minimum_version = ssl.TLSVersion.TLSv1_2\n",
        "    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE\n",
        "wire/test_tls.py::test_a_certificate_that_is_not_trusted_gets_no_request",
    ),
    Mutation(
        "L24",
        "refresher/tls.py",
        "    made.minimum_version = ssl.TLSVersion.TLSv1_2\n",
        "    made.minimum_version = ssl.TLSVersion.TLSv1\n",
        "wire/test_tls.py::test_tls_before_1_2_gets_no_request",
    ),
    Mutation(
        "L25",
        "refresher/config/words.py",
        "    if _PATH.fullmatch(value) is None:\n",
        "    if _PATH.match(value) is None:\n",
        "config/test_injection.py::test_refused",
    ),
    Mutation(
        "L26",
        "refresher/connector.py",
        "    if is_forbidden(ipaddress.ip_address(address[0])):\n        raise ForbiddenAddressError\n",
        "",
        "wire/test_addresses.py::test_a_name_that_leads_there_gets_none_either",
    ),
    Mutation(
        "L26",
        "refresher/core/address.py",
        "for each in (address, _inner(address)))",
        "for each in (address,))",
        "core/test_address.py::test_where_no_request_may_go",
    ),
    Mutation(
        "L27",
        "refresher/host/credentials.py",
        "    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):\n",
        "    if found.st_mode & stat.S_IRWXO:\n",
        "host/test_credentials.py::test_a_file_that_others_may_use_is_refused",
    ),
    Mutation(
        "L27",
        "refresher/config/files.py",
        "if mode & (stat.S_IWGRP | stat.S_IWOTH):",
        "if mode & stat.S_IWOTH:",
        "config/test_files.py::test_writable_by_others",
    ),
    Mutation("L28", "refresher/host/process.py", "    os.umask(0o077)\n", "", KERNEL),
    Mutation(
        "L28",
        "refresher/cli/_process.py",
        "    missing = process.harden()\n",
        "    missing = ()\n",
        "cli/test_process.py::test_the_process_is_hardened_before_the_wire_is_there",
    ),
    Mutation(
        "L29",
        "refresher/core/secret.py",
        'return f"Secret({MASK})"',
        'return f"Secret({self.__text})"',
        "core/test_secret.py::test_no_way_to_write_it_down_shows_it",
    ),
    Mutation(
        "L29",
        "refresher/core/secret.py",
        "    def __format__(self, spec: str, /) -> str:\n        return MASK\n",
        "    def __format__(self, spec: str, /) -> str:\n        return self.__text\n",
        "core/test_secret.py::test_no_way_to_write_it_down_shows_it",
    ),
    Mutation(
        "L29",
        "refresher/core/secret.py",
        '        raise TypeError("a secret is neither pickled nor copied")\n',
        "        return Secret, (self.__text,)\n",
        "core/test_secret.py::test_what_would_take_it_along_is_refused_without_showing_it",
    ),
    Mutation(
        "L30",
        "refresher/control/server.py",
        'if which == "control" and who.uid not in (0, os.geteuid()):',
        'if which == "control" and who.uid < 0:',
        "control/test_server.py::test_control_is_for_root_and_ourselves_whatever_the_mode_of_the_socket",
    ),
    Mutation(
        "L30",
        "refresher/web/server.py",
        "request.host.lower() not in self._hosts",
        "not request.host",
        "web/test_page.py::test_another_name_for_this_machine_is_refused",
    ),
    Mutation(
        "L33",
        "packages/libraries.py",
        'locked = ("--require-hashes", "--requirement", str(FILE),',
        'locked = ("--requirement", str(FILE),',
        "packages/test_lock.py::test_a_file_whose_hash_is_not_in_the_lock_is_not_shipped",
    ),
    Mutation(
        "L34",
        "refresher/config/allow.py",
        "    for key, reference in job.references().items():\n",
        "    for key, reference in ():\n",
        ALLOW,
    ),
    Mutation("L34", "refresher/config/allow.py", "    if job.moved_from:\n", "    if False:\n", ALLOW),
    Mutation("L34", "refresher/config/allow.py", '        "proxy": ""', '        "": ""', ALLOW),
    Mutation(
        "L34",
        "refresher/discovery.py",
        "return _within(known, job.hosts) if job.hosts else known",
        "return known",
        "rotation/test_discovery.py::test_a_job_that_may_name_certain_hosts_is_led_to_no_other",
    ),
)
ELSEWHERE = {
    "L16": "nothing of refresher knows .netrc; requests, which does, is never imported by it",
    "L31": "taking each line of the policy away is what its test does",
    "L32": "the search itself is tried on every dress",
}
