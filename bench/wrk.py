"""wrk, the load generator: how many secrets Vault can write and read, whoever asks. Debian: apt-get install wrk."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final, Literal

from bench.servers import TOKEN_BYTES, private

SCRIPT: Final = """\
wrk.method = "{method}"
wrk.headers["X-Vault-Token"] = "{token}"
wrk.headers["Content-Type"] = "application/json"
local n = 0
function request()
  n = n + 1
  return wrk.format(nil, "/v1/secret/data/wrk/" .. (n % 100){body})
end
"""
BODY: Final = """, nil, '{{"data":{{"access_token":"{filler}","token_type":"Bearer","job":"wrk"}}}}'"""


def is_there() -> bool:
    """Whether wrk is installed."""
    return shutil.which("wrk") is not None


def rate(folder: Path, address: str, token: str, what: Literal["write", "read"], *, seconds: int = 3) -> float:
    """Return requests a second by 32 connections; reads need a write before."""
    body = BODY.format(filler="t" * TOKEN_BYTES) if what == "write" else ""
    method = "POST" if what == "write" else "GET"
    text = SCRIPT.format(method=method, token=token, body=body)
    script = private(folder / f"{what}.lua", text)
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", "-s", str(script), address]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    if failed is not None:
        raise RuntimeError(f"wrk: {failed[0]}")
    found = re.search(r"Requests/sec:\s+([0-9.]+)", said)
    assert found is not None
    return float(found[1])
