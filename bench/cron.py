"""`cron`: processor time of a rotation against the line of a crontab that it takes the place of."""

import asyncio
import os
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from bench.clients import FORM
from bench.fleet import serving, settings_of
from bench.processes import cost
from bench.report import Report
from bench.servers import House, house, private
from refresher.demo import openbao
from refresher.demo.openbao import OpenBao

FORM_TEXT: Final = "&".join(f"{name}={value}" for name, value in FORM.items())
BAO: Final = """\
set -e
token=$(curl -s -d '{form}' {url} | jq -r .access_token)
{bao} kv put -mount=secret cron/bao access_token="$token" token_type=Bearer scope=orders job=cron
"""
CURL: Final = """\
set -e
curl -s -d '{form}' {url} |
jq '{{data: {{access_token: .access_token, token_type: "Bearer", scope: .scope, job: "cron"}}}}' |
curl -s -H "X-Vault-Token: $VAULT_TOKEN" -d @- {address}/v1/secret/data/cron/curl
"""
SCRIPT: Final = """\
import os, requests, hvac
reply = requests.post("{url}", data=dict(pair.split("=") for pair in "{form}".split("&")), timeout=20).json()
data = dict(access_token=reply["access_token"], token_type="Bearer", scope=reply["scope"], job="cron")
vault = hvac.Client(url="{address}", token=os.environ["VAULT_TOKEN"])
vault.secrets.kv.v2.create_or_update_secret("cron/script", data)
"""
WHATS: Final = {
    "whole": "refresher: the whole path",
    "bao": "curl, jq, bao kv put",
    "curl": "curl, jq, curl",
    "script": "a Python script with requests and hvac",
}


def run(*, quick: bool) -> Report:
    """Measure."""
    report = Report("cron", quick=quick)
    missing = [name for name in ("curl", "jq") if shutil.which(name) is None]
    with house() as (stand, bao):
        costs = asyncio.run(_rounds(stand, _lines(stand, bao, missing), 1 if quick else 9, 8 if quick else 160))
    for key, values in costs.items():
        report.add(f"{key}_ms", f"{WHATS[key]}, processor time per rotation", "ms", values)
    for key in costs.keys() - {"whole"}:
        report.ratio(f"{key}_to_whole", f"{WHATS[key]}, against refresher", costs[key], costs["whole"])
    if missing:
        report.note(f"not installed, and left out with what needs it: {', '.join(missing)}.")
    report.note("Of a line the processor time of all its processes; of refresher its process's, 8 in flight.")
    return report


def _lines(stand: House, bao: OpenBao, missing: list[str]) -> Mapping[str, tuple[list[str], dict[str, str]]]:
    token, binary = bao.root_token.reveal(), openbao.find_binary()
    known = {"form": FORM_TEXT, "url": stand.urls[0], "address": stand.address, "bao": binary}
    env = os.environ | {"VAULT_TOKEN": token, "BAO_TOKEN": token, "BAO_ADDR": stand.address}
    script = [sys.executable, str(private(stand.folder / "script.py", SCRIPT.format(**known)))]
    lines = {"script": (script, env)}
    if not missing:
        for name, text in (("bao", BAO), ("curl", CURL)):
            lines[name] = ["sh", str(private(stand.folder / f"{name}.sh", text.format(**known)))], env
    return lines


async def _rounds(
    stand: House, lines: Mapping[str, tuple[list[str], dict[str, str]]], rounds: int, each: int
) -> Mapping[str, list[float]]:
    costs: defaultdict[str, list[float]] = defaultdict(list)
    async with serving(settings_of(stand.config(each))) as fleet:
        await fleet.rotate()
        for _ in range(rounds):
            began = time.process_time()
            await fleet.rotate()
            costs["whole"].append((time.process_time() - began) / each * 1000)
            for name, (command, env) in lines.items():
                spent = cost(command, env=env)
                if spent.code:
                    raise RuntimeError(f"{name}: exit code {spent.code}")
                costs[name].append(spent.cpu * 1000)
    return {name: costs[name] for name in WHATS if name in costs}
