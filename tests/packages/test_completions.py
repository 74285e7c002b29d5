"""What three shells offer, as they themselves say it."""

import os
import pty
import select
import subprocess
import time

import pytest

from packages import completions
from packages.surface import verbs
from refresher.cli import VERBS

CASES = [
    ("refresher ", {*VERBS}),
    ("refresher pl", {"plan"}),
    ("refresher once --f", {"--force"}),
    ("refresher check --", {"--config", "--live", "--json", "--help"}),
    ("refresher run --config jo", {"jobs.toml"}),
    ("refresher migrate cr", {"crontab"}),
    ("refresher init jo", {"jobs.toml"}),
    ("refresher schema jo", set()),
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "jobs.toml").touch()
    (tmp_path / "other").touch()
    (tmp_path / "script").mkdir()
    return tmp_path


@pytest.mark.parametrize(("line", "offered"), CASES)
def test_bash(folder, line, offered):
    (folder / "script/refresher").write_text(completions.bash(verbs()))
    words = line.split(" ")
    program = f"""
compopt() {{ :; }}
. script/refresher
complete -p refresher
COMP_WORDS=({" ".join(f"'{word}'" for word in words)}) COMP_CWORD={len(words) - 1}
_refresher
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-euc", program], cwd=folder, capture_output=True, text=True, check=True)
    first, *found = done.stdout.split("\n")
    assert (first, done.stderr) == ("complete -F _refresher refresher", "")
    assert {one for one in found if one} - {"--version"} - ({"--help"} if line == "refresher " else set()) == offered


@pytest.mark.host
@pytest.mark.parametrize(("line", "offered"), CASES)
def test_fish(folder, line, offered):
    (folder / "script/refresher.fish").write_text(completions.fish(verbs()))
    program = f"source script/refresher.fish; complete --do-complete '{line}'"
    environ = os.environ | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "script")}
    done = subprocess.run(["fish", "-c", program], cwd=folder, env=environ, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert {one.split("\t")[0] for one in done.stdout.splitlines()} == offered


@pytest.mark.host
@pytest.mark.parametrize(("line", "offered"), CASES)
def test_zsh(folder, line, offered):
    (folder / "script/_refresher").write_text(completions.zsh(verbs()))
    shown = typed(folder, line)
    for verb in {*VERBS, "other"} - offered if line == "refresher " else set():
        assert verb not in shown
    assert all(one in shown for one in offered)
    assert offered or "jobs.toml" not in shown


def typed(folder, line):
    """Type `line` and a tab into a zsh, and return what its terminal shows then."""
    end = "tell() { zle -I; print -r -- E''ND }; zle -N tell; bindkey '^X^X' tell"
    start = f"PS1=; fpath=($PWD/script $fpath); autoload -U compinit; compinit -u -d dump; {end}; print -r -- RE''ADY\r"
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb"}
        os.execvpe("zsh", ["zsh", "-f", "-i"], environ)  # noqa: S606  # by its name
    try:
        os.write(terminal, start.encode())
        _until(terminal, "READY")
        os.write(terminal, f"{line}\t\x18\x18".encode())
        return _until(terminal, "END")
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)


def _until(terminal, mark):
    """Read what is shown until `mark` is."""
    shown, ends = "", time.monotonic() + 60
    while mark not in shown:
        ready, _, _ = select.select([terminal], [], [], max(ends - time.monotonic(), 0))
        assert ready, shown
        shown += os.read(terminal, 65536).decode(errors="replace")
    return shown
