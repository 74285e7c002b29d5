"""No secret is an argument: every user of the machine sees those of every process (proc(5), cmdline)."""

import re

import pytest

from refresher.cli import VERBS
from refresher.cli._call import command_of

SECRET = re.compile(r"token|secret|password|passphrase|key|credential|import", re.IGNORECASE)
NO_VALUE = {"--new-secret-id"}  # says that one is made


@pytest.mark.leak("L12")
@pytest.mark.parametrize("verb", VERBS)
def test_an_option_for_a_secret_takes_a_reference_to_it(verb):
    options = {name: one for one in command_of(verb).params for name in one.opts if name.startswith("--")}
    about = {name: one.metavar for name, one in options.items() if SECRET.search(name) and name not in NO_VALUE}
    assert set(about.values()) <= {"REF"}, about


@pytest.mark.leak("L12")
@pytest.mark.parametrize(
    "words",
    [
        ("authorize", "crm", "--import", "S3CR3T-CANARY"),
        ("policy", "--apply", "--token", "hvs.S3CR3T-CANARY"),
        ("bootstrap", "--token", "hvs.S3CR3T-CANARY"),
    ],
)
def test_a_secret_in_its_place_is_refused_and_not_repeated(cli, words):
    code, out, err = cli(*words)
    assert code in {64, 78}
    assert "reference" in err
    assert "CANARY" not in out + err
