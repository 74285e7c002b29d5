"""What a line does with Vault besides putting the token there: reads, logins, renewals, other engines."""

import tomllib

import pytest

from refresher.migrate.migrate import migrate

TOKEN = "https://crm.example.com/oauth/token"
FORM = "-d grant_type=client_credentials -d client_id=acme"
PUT = "vault kv put secret/tokens/crm access_token=-"
ASK = f"curl -s {FORM} {TOKEN} | {PUT}"
READ = 'curl -s -H "X-Vault-Token: $VT" "$VAULT_ADDR/v1/secret/data/clients/crm"'
FROM_VAULT = "vault:secret/clients/crm#key"
UNTOLD = "vault:secret/clients/crm#client_secret"


def one(*lines):
    text = migrate("\n".join(lines)).text
    (table,) = tomllib.loads(text)["jobs"].values()
    return table, text


@pytest.mark.parametrize(
    ("read", "reference"),
    [
        (f"""{READ} | jq -r '.data.data["key"]'""", FROM_VAULT),
        (f"{READ} | jq -r .data.data.key", FROM_VAULT),
        (f"""{READ} | jq -er '.data.data."key"'""", FROM_VAULT),
        (f"{READ.replace('VAULT_ADDR', 'BAO_ADDR')} | jq -r .data.data.key", FROM_VAULT),
        (f"{READ.replace('curl -s -H', 'wget -qO- --header')} | jq -r .data.data.key", FROM_VAULT),
        (f"{READ.replace('/data', '')} | jq -r .data.key", FROM_VAULT),
        (f"{READ.replace('secret/data', 'team/kv/data')} | jq -r .data.data.key", "vault:team/kv/clients/crm#key"),
        (f"{READ} | jq -r .data.key", UNTOLD),
        (f"{READ} | jq -r .data.data.key | tr -d x", UNTOLD),
        (f"{READ} -H 'X-Vault-Namespace: eu' | jq -r .data.data.key", UNTOLD),
        (f"{READ.replace('$VAULT_ADDR', 'https://eu.example')} | jq -r .data.data.key", UNTOLD),
        (f"{READ.replace('crm', 'crm?version=3')} | jq -r .data.data.key", UNTOLD),
        (f"{READ} -d @/etc/x | jq -r .data.data.key", UNTOLD),
        ("cat /etc/x | jq -r .data.data.key", UNTOLD),
    ],
)
@pytest.mark.parametrize("apart", [False, True])
def test_a_read_is_no_place_and_no_reply(read, reference, apart):
    fetch = f'curl -s {FORM} -d client_secret="$({read})" {TOKEN} | {PUT}'
    if apart:
        fetch = f"S=$({read}); " + fetch.replace(f"$({read})", "$S")
    if "-d @" in read:
        fetch = fetch.replace("-d @/etc/x", "-X GET -d @/etc/x")
    table, text = one(f"@hourly {fetch}", "@daily vault kv put secret/a b=c")
    assert table.get("path") == "tokens/crm"
    assert table["client_secret"] == reference
    assert "response" not in table
    assert ("could not be told; put it" in " ".join(text.replace("\n#  ", "").split())) is (reference == UNTOLD)


@pytest.mark.parametrize(
    ("call", "writes"),
    [
        ("-d @-", True),
        ("--json @-", True),
        ("--data-urlencode x@-", True),
        ("-T -", True),
        ("-X POST", True),
        ("-X put", True),
        ("--request PATCH", True),
        ("", False),
        ("-X GET -d x=y", False),
        ("-G -d x=y", False),
        ("--url-query x=y", False),
        ("-X LIST", False),
        ("-X DELETE", False),
    ],
)
def test_what_sends_something_writes(call, writes):
    table, _ = one(f"@hourly curl -s {FORM} {TOKEN} | curl {call} -H 'X-Vault-Token: x' $VAULT_ADDR/v1/secret/data/a/b")
    assert table.get("path") == ("a/b" if writes else "tokens/crm")
    assert table.get("adopt", False) is writes


@pytest.mark.parametrize(
    "other",
    [
        "VT=$(vault write -field=token auth/approle/login role_id=r secret_id=s)",
        "VT=$(vault write -field token auth/approle/login role_id=r secret_id=s)",
        "VT=$(vault write -format=json auth/approle/login role_id=r secret_id=s | jq -r .auth.client_token)",
        "VT=$(curl -s -d @/etc/role $VAULT_ADDR/v1/auth/approle/login | jq -r .auth.client_token)",
        "R=$(curl -s -d @/etc/role $VAULT_ADDR/v1/auth/$M/login); VT=$(echo $R | jq -r .auth.client_token)",
        "curl -s -X POST -H 'X-Vault-Token: x' https://v.example/v1/auth/token/renew-self | jq .lease_duration",
        "curl -s -X PUT -H 'X-Vault-Token: x' $VAULT_ADDR/v1/sys/leases/renew",
        "vault write identity/entity name=x",
        "curl -s -H 'X-Vault-Token: x' $VAULT_ADDR/v1/secret/data/tokens/old | jq -r .data.data.token",
        "vault kv get -format=json secret/tokens/old | jq -r .data.data.token",
    ],
)
def test_logins_and_reads_are_left_alone(other):
    table, text = one(f"@hourly {other}; {ASK}")
    assert (table.get("path"), table["adopt"]) == ("tokens/crm", True)
    assert "response" not in table
    assert "a place in Vault that could not be told" not in text
    assert migrate(f"@hourly {other}").untold == ()


def test_the_filter_of_the_reply_counts_beside_those_of_vaults_answers():
    login = "VT=$(curl -s -d @/etc/role $VAULT_ADDR/v1/auth/approle/login | jq -r .token)"
    table, _ = one(f"@hourly {login}; curl -s {FORM} {TOKEN} | jq -r .id_token | {PUT}")
    assert table["response"] == {"access_token": "id_token"}


@pytest.mark.parametrize(
    ("write", "others", "path"),
    [
        ("vault write secret/tokens/crm t=-", "", "tokens/crm"),
        ("vault write kv/tokens/crm t=-", "", "tokens/crm"),
        ("vault write team/tokens/crm t=-", "vault kv put team/x a=b", "tokens/crm"),
        ("vault write team/kv/data/tokens/crm t=-", "", "tokens/crm"),
        ("curl -H 'X-Vault-Token: x' -d @- $VAULT_ADDR/v1/team/tokens/crm", "vault kv put team/x a=b", "tokens/crm"),
        ("vault write transit/encrypt/crm plaintext=-", "", None),
        ("curl -H 'X-Vault-Token: x' -d @- $VAULT_ADDR/v1/transit/encrypt/crm", "", None),
    ],
)
def test_a_plain_path_is_one_of_secrets_where_its_mount_is_known(write, others, path):
    table, text = one(f"@hourly curl -s {FORM} {TOKEN} | {write}", *([f"@daily {others}"] if others else []))
    assert table["path"] == (path or "tokens/crm")
    assert table.get("adopt", False) is (path is not None)
    assert ("writes to a place in Vault that could not be told" in text) is (path is None)
    assert "transit" not in table.values()
