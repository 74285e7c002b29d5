"""From lines to jobs: what is read, what becomes a reference, what is said of the rest."""

import tomllib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refresher import config
from refresher.migrate.migrate import migrate

TOKEN = "https://id.acme.example/oauth/token"
CC = "-d grant_type=client_credentials"
PUT = "vault kv put secret/tokens/crm access_token=-"
DEEP = '{"a":' * 99_999
ID = "--data-urlencode client_id=acme"


@pytest.fixture
def jobs(tmp_path):
    """Migrate lines; `refresher check` has to take what comes out. Returns the tables and the whole text."""

    def run(*lines):
        found = migrate("\n".join(lines))
        file = tmp_path / "jobs.toml"
        file.write_text(found.text)
        file.chmod(0o600)
        assert len(config.load(file).jobs) == found.jobs
        return tomllib.loads(found.text)["jobs"], found.text

    return run


def one(jobs, command, *settings):
    tables, text = jobs(*settings, f"@hourly {command}")
    ((name, table),) = tables.items()
    return name, table, text


@pytest.mark.parametrize(
    ("proof", "keys"),
    [
        ("-u acme:s3cret", {"client_auth": None, "client_id": "acme"}),
        ("-u 'acme:s3/cret'", {"client_auth": "basic_raw"}),
        ("-uacme:s3cret", {"client_id": "acme"}),
        ('-u "acme:$SECRET"', {"client_auth": "basic_raw", "client_secret": "env:SECRET"}),
        ('-u "$LOGIN"', {"client_id": "REPLACE-ME", "client_secret": "vault:secret/clients/crm#client_secret"}),
        ('-u "$BOTH"', {"client_id": "known"}),
        ("-u sk_live_key:", {"client_id": "REPLACE-ME"}),
        ("-H 'Authorization: Basic YWNtZTpzM2NyZXQ='", {"client_id": "acme"}),
        ("-H 'Authorization: Basic no-base64'", {"client_id": "REPLACE-ME"}),
        (
            '-H "Authorization: Basic $(echo -n "acme:$SECRET" | base64 -w0)"',
            {"client_id": "acme", "client_secret": "env:SECRET"},
        ),
        ("-d client_id=acme -d client_secret=s3cret", {"client_auth": "post", "client_id": "acme"}),
        ("-d client_id=acme -d client_secret=$(cat /etc/crm.secret)", {"client_secret": "file:/etc/crm.secret"}),
        (
            "-d client_id=acme -d client_secret=`cat /etc/../x`",
            {"client_secret": "vault:secret/clients/crm#client_secret"},
        ),
        ("-d client_id=acme -d client_secret=$(</etc/crm.secret)", {"client_secret": "file:/etc/crm.secret"}),
        ("-d client_id=acme -d client_secret=$(printenv CRM)", {"client_secret": "env:CRM"}),
        ("-d client_id=acme -d client_secret=pre$CRM", {"client_secret": "vault:secret/clients/crm#client_secret"}),
        (f"{ID} --data-urlencode client_secret@/etc/crm.secret", {"client_secret": "file:/etc/crm.secret"}),
        (
            f'{ID} -d client_secret="$(vault kv get -mount=kv -field=secret clients/crm)"',
            {"client_secret": "vault:kv/clients/crm#secret"},
        ),
        (f"{ID} -d client_secret=$(vault read -field=s secret/data/c)", {"client_secret": "vault:secret/c#s"}),
        (
            f"{ID} -d client_assertion_type=x -d client_assertion=$(cat /run/jwt)",
            {"client_auth": "private_key_jwt", "client_assertion": "file:/run/jwt"},
        ),
        (f"{ID} --cert /etc/crm.pem --key /etc/crm.key", {"client_auth": "tls", "cert_file": "/etc/crm.pem"}),
    ],
)
def test_how_the_client_proves_itself(jobs, proof, keys):
    _, table, text = one(jobs, f"curl -s {proof} {CC} {TOKEN} | {PUT}", "BOTH=known:s3cret")
    assert {key: table.get(key) for key in keys} == keys
    assert "s3cret" not in text
    assert "s3/cret" not in text
    assert "sk_live" not in text


@pytest.mark.parametrize(
    ("request_", "keys"),
    [
        (rf"curl -d 'grant_type=password&username=u\%40x&password=s3cret' {TOKEN}", {"grant": "password"}),
        (f"curl -d grant_type=refresh_token -d refresh_token=$R {TOKEN}", {"refresh_token": "env:R"}),
        (
            f"curl -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange -d subject_token=$T {TOKEN}",
            {"grant": "token_exchange", "subject_token": "env:T"},
        ),
        (f"curl {CC} -d scope='a b' -d audience=https://a.example {TOKEN}", {"scope": ["a", "b"]}),
        (f"curl {CC} -d account_id=42 {TOKEN}", {"params": {"account_id": "42"}}),
        (f"curl -G {CC} {TOKEN}", {"method": "GET"}),
        (f"curl -G '{TOKEN}?grant_type=client_credentials'", {"method": "GET", "token_url": TOKEN}),
        (f"curl -XPOST '{TOKEN}?grant_type=client_credentials'", {"method": None}),
        (
            f"wget -qO- --post-data='grant_type=client_credentials&client_id=acme' {TOKEN}",
            {"grant": "client_credentials", "client_id": "acme"},
        ),
        (f'curl --json \'{{"grant_type": "client_credentials"}}\' {TOKEN}', {"body": "json"}),
        (f"curl {CC} https://$HOST/oauth/token", {"token_url": "https://id.set.example/oauth/token"}),
    ],
)
def test_the_request(jobs, request_, keys):
    client = "" if "client_id" in request_ else ID
    _, table, text = one(jobs, f"{request_} {client} | {PUT}", "HOST=id.set.example")
    assert {key: table.get(key) for key in keys} == keys
    assert "s3cret" not in text


@pytest.mark.parametrize(
    ("url", "keys"),
    [
        ("https://login.microsoftonline.com/t/oauth2/v2.0/token", {"provider": "entra-id", "vars": {"tenant": "t"}}),
        ("https://acme.eu.auth0.com/oauth/token", {"provider": "auth0"}),
        ("https://crm.example.com/oauth/token", {"provider": "oauth2"}),
        ("https://a.my.salesforce.com/services/oauth2/token", {"provider": "salesforce"}),
        ("https://sso.example/auth/realms/r/protocol/openid-connect/token", {"base_url": "https://sso.example/auth"}),
        ("https://cloud.smartdocumentor.net/connect/token", {"provider": "smartdocumentor", "environment": None}),
        ("https://zoom.us/oauth/token", {"provider": "oauth2"}),  # zoom's own grant is another
        ("https://user:s3cret@crm.example.com/oauth/token", {"client_id": "user", "provider": "oauth2"}),
    ],
)
def test_the_provider(jobs, url, keys):
    line = f"curl {CC} {ID} -d audience=https://a.example '{url}' | {PUT}"
    _, table, text = one(jobs, line)
    assert {key: table.get(key) for key in keys} == keys
    assert "s3cret" not in text


@pytest.mark.parametrize(
    ("put", "name", "keys"),
    [
        ("vault kv put secret/tokens/crm access_token=-", "crm", {"path": "tokens/crm", "adopt": True}),
        ("vault kv put -mount=secret tokens/crm token=-", "crm", {"path": "tokens/crm"}),
        ("bao kv patch secret/tokens/crm token=-", "crm", {"path": "tokens/crm"}),
        ("vault write secret/data/tokens/crm token=-", "crm", {"path": "tokens/crm"}),
        ('curl -H "X-Vault-Token: $T" -d @- $VAULT_ADDR/v1/secret/data/a/b', "b", {"path": "a/b"}),
        ("curl -d @- $BAO_ADDR/v1/secret/a/b", "b", {"path": "a/b"}),
        ("vault kv put secret/tokens/$ENV token=-", "acme", {"path": "tokens/acme", "adopt": None}),
        ("tee /run/token.json", "acme", {"path": "tokens/acme", "adopt": None}),
    ],
)
def test_the_place(jobs, put, name, keys):
    found, table, _ = one(jobs, f"curl -s {CC} {ID} https://id.acme.example/token | {put}")
    assert found == name
    assert {key: table.get(key) for key in keys} == keys


def test_several_mounts_and_clusters_and_names(jobs):
    fetch = f"@hourly curl -s {CC} {ID} https://id.acme.example/token |"
    tables, text = jobs(
        "VAULT_ADDR=https://vault.acme.example:8200",
        f"{fetch} vault kv put secret/a/token t=-",
        f"{fetch} vault kv put secret/b/token t=-",
        f"{fetch} VAULT_NAMESPACE=eu/x vault kv put -address=https://eu.acme.example kv/c/token t=-",
    )
    assert [*tables] == ["token", "token-2", "token-3"]
    assert tables["token-3"]["destinations"] == [{"cluster": "eu-eu-x", "mount": "kv", "path": "c/token"}]
    whole = tomllib.loads(text)
    assert whole["vault"]["address"] == "https://vault.acme.example:8200"
    assert whole["clusters"]["eu-eu-x"]["address"] == "https://eu.acme.example"
    assert whole["clusters"]["eu-eu-x"]["namespace"] == "eu/x"


def test_several_requests_on_a_line_are_jobs_whose_places_a_person_names(jobs):
    get = f"curl -s {CC} {ID}"
    tables, text = jobs(f"@hourly {get} https://a.example/token; {get} https://b.example/token | {PUT}")
    assert [table["path"] for table in tables.values()] == ["tokens/a", "tokens/b"]
    assert text.count("which of them fills which path could not be told") == 2


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("/opt/fetch.sh --key s3cret", "it runs /opt/fetch.sh, which was not looked into"),
        ("A=s3cret python3 -u /opt/fetch.py s3cret", "it runs /opt/fetch.py, which was not looked into"),
        ("$TOOL s3cret", "it runs a program that a variable names, which was not looked into"),
        (f"curl -K /etc/s3cret {TOKEN}", "it asks for a token, but curl reads options from a file (-K)"),
        (f"curl -n -d grant_type=client_credentials {TOKEN}", "it asks for a token, but curl takes the login from"),
        (f"curl -d @/etc/s3cret {TOKEN}", "it asks for a token, but the request is read from a file or from another"),
        (f'curl -d "$BODY" {TOKEN}', "it asks for a token, but what it sends stands in a variable that"),
        (f"curl {CC} https://$HOST/token", "it asks for a token, but its URL stands in a variable that the crontab"),
        (f"curl {CC} http://id.example/token", 'it asks for a token, but its URL must begin with "https://"'),
        (f"curl {CC} https://[s3cret/token", "it asks for a token, but its URL must begin with"),
        (f"curl -d x=s3cret {TOKEN}", "it asks for a token, but no grant_type is to be seen"),
        (f"curl -d grant_type=s3cret {TOKEN}", "it asks for a token, but its grant_type is none that refresher knows"),
        (f"curl -d grant_type=a:jwt-bearer {TOKEN}", "it asks for a token, but its grant is a JWT that something"),
        (f"curl -d grant_type=refresh_token {TOKEN}", "it asks for a token, but no refresh_token is to be seen"),
        (f"curl -d '{{\"grant_type\": s3cret}}' {TOKEN}", "it asks for a token, but the JSON that it sends can not be"),
        (f'curl -d \'{{"grant_type": {{"a": 1}}}}\' {TOKEN}', "it asks for a token, but the JSON that it sends is"),
        ("vault kv put secret/a token=@/tmp/s3cret", "it writes to Vault what it did not ask for itself"),
        (
            f"curl --json '{DEEP}' {TOKEN}?grant_type=x",
            "it asks for a token, but the JSON that it sends can",
        ),
        ("curl 's3cret", "its command can not be read: a quote is not closed"),
        ("date +'%F'", "its command can not be read: a quote is not closed (cron ends a command at the first %"),
        ("a $(" * 30 + ")" * 30, "its command can not be read: it is nested too deeply"),
    ],
)
def test_what_can_not_be_told_is_named_without_a_secret(command, why):
    found = migrate(f"@hourly {command}")
    ((number, said),) = found.untold
    assert (found.jobs, number) == (0, 1)
    assert said.startswith(why)
    assert "s3cret" not in found.text + said
    assert f"line 1: {why}"[:100] in " ".join(found.text.replace("\n#  ", "").split())


@pytest.mark.parametrize(
    "command", ["find /tmp -delete", "curl -fsS https://hc.example/ping/s3cret", "test -f a && rm a"]
)
def test_what_fetches_no_token_is_left_alone(command):
    found = migrate(f"@hourly {command}")
    assert (found.jobs, found.untold) == (0, ())


def test_what_a_person_has_to_know_stands_at_the_job(jobs):
    _, _, text = one(
        jobs,
        f". /etc/crm.env; curl -x http://proxy:3128 -s {CC} {ID} -d odd=s3cret -H 'X-Key: s3cret' -d scope=$S {TOKEN}"
        " -o /var/lib/app/token.json && systemctl reload app",
    )
    said = " ".join(text.replace("\n#  ", "").split())
    for part in (
        "the line also sends odd:",
        "the line also sends the header x-key:",
        "scope: the crontab does not say it",
        "proxy: the line goes through a proxy",
        "the line takes settings from /etc/crm.env, which was not opened",
        "the line also runs systemctl, which was not looked into",
        "path: the line wrote /var/lib/app/token.json;",
        "The crontab names no address",
    ):
        assert part in said
    assert "s3cret" not in text


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("python3 -m refreshtokens hvs.{}", "python3"),
        ("python3 -um refreshtokens /{}", "python3"),
        ("python3 -c {} /opt/{}.py", "python3"),
        ("python3 - /opt/{} <<<x", "python3"),
        ("python3 {} /opt/a.py", "python3"),
        ("python3 -u /opt/a.py {}.py", "/opt/a.py"),
        ("node refresh {}", "node"),
        ("node refresh ey.{}", "node"),
        ("node -e /{}/", "node"),
        ("node --eval /{}/", "node"),
        ("node refresh.js {}", "refresh.js"),
        ("perl -ne /{}/", "perl"),
        ("php -r /{}/", "php"),
        ("java -jar /opt/a.jar /{}", "/opt/a.jar"),
        ("bash -e /opt/a.sh {}", "/opt/a.sh"),
        ("ruby $DIR/a.rb {}", "a program that a variable names"),
    ],
)
def test_of_an_interpreter_only_its_script_is_shown(command, shown, canaries):
    secret = canaries.plant("secret")
    found = migrate(f"@hourly {command.replace('{}', secret)}")
    canaries.check(found.text, repr(found))
    assert found.untold == ((1, f"it runs {shown}, which was not looked into"),)


@pytest.mark.parametrize(
    ("option", "shown"),
    [
        ("-H {}", "a header whose name could not be told"),
        ("-H '{};'", "a header whose name could not be told"),
        ("-H 'X-Key: {}'", "the header x-key"),
        ("--data-urlencode {}", "a member whose name could not be told"),
        ("--data-urlencode x={}", "x"),
        ("--data-urlencode x@/etc/{}", "x"),
        ("-d {}", "a member whose name could not be told"),
        ("-d {}==", "a member whose name could not be told"),
        ("-d 'x=y&{}'", "a member whose name could not be told"),
        ("--url-query {}", "a member whose name could not be told"),
    ],
)
def test_what_has_no_name_is_not_shown_as_one(jobs, option, shown, canaries):
    secret = canaries.plant("secret")
    _, text = jobs(f"@hourly curl -s {CC} {ID} {option.replace('{}', secret)} {TOKEN} | {PUT}")
    canaries.check(text)
    assert f"the line also sends {shown}: write it into" in " ".join(text.replace("\n#  ", "").split())


@pytest.mark.parametrize(
    "option",
    [
        "--doh-url https://dns.example.net/dns-query",
        "--socks5-hostname localhost:1080",
        "--socks5 localhost:1080",
        "--preproxy socks5://localhost:1080",
        "--proto =https",
        "--pinnedpubkey sha256//x",
        "--dns-servers 9.9.9.9",
        "--tls13-ciphers TLS_AES_128_GCM_SHA256",
        "--proxy-header 'X-A: b'",
        "--keepalive-time 5",
        "--vlan-priority 1",
    ],
)
def test_the_value_of_an_option_is_no_url(jobs, option):
    _, table, _ = one(jobs, f"curl {option} -u acme:x {CC} {TOKEN} | {PUT}")
    assert table["token_url"] == TOKEN


@pytest.mark.parametrize(
    "words",
    [
        f"--not-known-yet https://dns.example.net/dns-query {CC} {TOKEN}",
        f"{CC} {TOKEN} https://other.example",
        f"$OPTIONS {CC} {TOKEN}",
        f"{CC} --url {TOKEN} https://other.example",
        f"https://dns.example.net/dns-query {TOKEN}",
    ],
)
@pytest.mark.parametrize("program", ["curl", "wget"])
def test_of_two_words_that_may_be_the_url_none_is_taken(words, program):
    found = migrate(f"@hourly {program} {words.replace('-d ', '--post-data ') if program == 'wget' else words} | {PUT}")
    assert found.untold == ((1, "it asks for a token, but which word of it is the URL could not be told"),)
    assert found.jobs == 0


# Pieces of which crontabs are made, whole or broken.
PIECES = st.sampled_from(
    [
        *(
            "* * * * * ",
            "@daily ",
            "root ",
            "A=",
            "$A",
            "${A}",
            "$(",
            ")",
            "`",
            "'",
            '"',
            "\\",
            "%",
            "#",
            "|",
            ";",
            "&",
        ),
        *("\n", " ", "curl ", "wget ", "-d ", "-u ", "-H ", "--json ", "-K ", "grant_type=", "client_credentials"),
        *("password", "refresh_token", "client_id=", "client_secret=", "x:y", "https://", "[", "]", "id.example"),
        *("/token", "?", "@", "{", "}", '"a": ', "vault kv put ", "bao write ", "secret/a", "-mount=", "$VAULT_ADDR"),
        *("/v1/", "Authorization: Basic ", "X-Vault-Token: ", "cat ", "jq -r .a", ">", "<", "2>&1", "sh -c "),
        *("sudo -u ", "\x00", "\x85", "é", "\ue000", "\ud800"),
    ]
)


@settings(deadline=None)
@given(st.lists(PIECES | st.text(max_size=3), max_size=40).map("".join))
@example("* * * * * curl -d grant_type=password -d username=\x85 -d password=x https://[/token")
def test_any_text_at_all_is_migrated_to_toml(text):
    found = migrate("* * * * * " + text)
    assert isinstance(tomllib.loads(found.text.encode(errors="replace").decode()), dict)
