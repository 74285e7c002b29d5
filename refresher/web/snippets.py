"""How a reader takes a job's token, to be copied: with this cluster's address, mount and path filled in.

A reader logs in as itself: what is shown takes its Vault token from the environment.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from refresher.core.fields import ACCESS_TOKEN
from refresher.core.model import Location
from refresher.core.settings import Cluster

LONGEST_LAG: Final = timedelta(minutes=5)
SHORTEST_LAG: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    title: str
    note: str
    text: str


def snippets(
    cluster: Cluster, place: Location, *, version_1: bool, promised: timedelta | None, field: str = ACCESS_TOKEN
) -> tuple[Snippet, ...]:
    """Return them for one place. `promised`: the life that readers may count on; they must look again within half.

    `field`: the member to take.
    """
    lag = LONGEST_LAG if promised is None else min(max(promised / 2, SHORTEST_LAG), LONGEST_LAG)
    every = f"{int(lag.total_seconds())}s"
    api = f"{place.mount}/{place.path}" if version_1 else f"{place.mount}/data/{place.path}"
    plain = field.isidentifier() and field.isascii()
    data = ".data" if version_1 else ".data.data"
    member = f"{data}.{field}" if plain else _quoted(f'{data}["{field}"]')
    namespace = cluster.namespace
    header = f" \\\n  -H {_quoted('X-Vault-Namespace: ' + namespace)}" if namespace else ""
    curl = f'curl -sf -H "X-Vault-Token: $VAULT_TOKEN"{header} \\\n  {cluster.address}/v1/{api} | jq -r {member}'
    flag = f" -namespace={namespace}" if namespace else ""
    vault = f"export VAULT_ADDR={cluster.address}\nvault kv get{flag} -mount={place.mount} -field={field} {place.path}"
    return (
        Snippet(title="curl", note="Needs curl and jq.", text=curl),
        Snippet(title="vault", note="The same with bao.", text=vault),
        Snippet(title="Python (hvac)", note="", text=_hvac(cluster, place, field, version_1=version_1)),
        Snippet(
            title="Vault Agent template",
            note=f"It reads again every {every}, so within half of the life that readers may count on.",
            text=_agent(api, place.path, every, member=_go(field, version_1=version_1, plain=plain)),
        ),
        Snippet(
            title="External Secrets",
            note="secretStoreRef names your own store for this mount.",
            text=_external(place, every, field),
        ),
    )


def _hvac(cluster: Cluster, place: Location, field: str, *, version_1: bool) -> str:
    words = [f"url={json.dumps(cluster.address)}", 'token=os.environ["VAULT_TOKEN"]']
    if cluster.namespace:
        words.append(f"namespace={json.dumps(cluster.namespace)}")
    where = f"path={json.dumps(place.path)}, mount_point={json.dumps(place.mount)}"
    if version_1:
        read = f'answer = vault.secrets.kv.v1.read_secret({where})\ntoken = answer["data"][{json.dumps(field)}]'
    else:
        read = (
            f"answer = vault.secrets.kv.v2.read_secret_version(\n    {where}, raise_on_deleted_version=True\n)\n"
            f'token = answer["data"]["data"][{json.dumps(field)}]'
        )
    return f"import os\n\nimport hvac\n\nvault = hvac.Client({', '.join(words)})\n{read}"


def _agent(api: str, path: str, every: str, *, member: str) -> str:
    name = path.replace("/", "-")
    return f"""template_config {{
  static_secret_render_interval = "{every}"
}}

template {{
  contents    = "{{{{ with secret \\"{api}\\" }}}}{{{{ {member} }}}}{{{{ end }}}}"
  destination = "/run/{name}/token"
  perms       = "0600"
}}"""


def _go(field: str, *, version_1: bool, plain: bool) -> str:
    """Return the member for Go's templates, which take no hyphen after a point."""
    data = ".Data" if version_1 else ".Data.data"
    return f"{data}.{field}" if plain else f'index {data} \\"{field}\\"'


def _external(place: Location, every: str, field: str) -> str:
    name = place.path.replace("/", "-").replace("_", "-").lower()
    return f"""apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: {name}
spec:
  refreshInterval: {every}
  secretStoreRef:
    kind: SecretStore
    name: vault
  target:
    name: {name}
  data:
    - secretKey: {field}
      remoteRef:
        key: {place.path}
        property: {field}"""


def _quoted(text: str) -> str:
    return f"'{text}'"
