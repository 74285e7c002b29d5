import pytest

from refresher import config
from refresher.providers import catalogue
from tests.config.conftest import VAULT


def test_the_table_has_a_row_for_each(cli):
    code, out, err = cli("providers")
    assert (code, err) == (0, "")
    rows = [line.split()[0] for line in out.splitlines()[1:] if line and line[0] != " "]
    assert rows[: len(catalogue())] == list(catalogue())


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_the_job_to_paste_passes_check(cli, tmp_path, name):
    code, out, err = cli("providers", name)
    assert (code, err) == (0, "")
    assert out.startswith(f"{name}: {catalogue()[name].title}\n")
    file = tmp_path / "jobs.toml"
    file.write_text(VAULT + out[out.index("# ") :])
    file.chmod(0o644)
    assert config.load(file).jobs[name].provider == name


def test_each_error_of_the_vendor_s_page_is_explained(cli):
    out = cli("providers", "semansys").out
    for code, meaning in catalogue()["semansys"].errors.items():
        assert f"error {code}" in out
        assert meaning in out


def test_an_unknown_name(cli):
    code, out, err = cli("providers", "semansis")
    assert (code, out) == (64, "")
    assert 'did you mean "semansys"?' in err


def test_the_table_fits_a_hundred_columns(cli):
    lines = cli("providers").out.splitlines()
    table = lines[1 : lines.index("")]
    assert len(table) == len(catalogue())  # no row needs a second line
    assert max(len(line.rstrip()) for line in lines) <= 100


def test_what_is_second_hand_says_so(cli):
    out = cli("providers", "xero").out
    assert "leeway         a used one may be sent again for 30m\n" in out
    assert "token URL      https://identity.xero.com/connect/token *\n" in out
    assert "* not read on a page of the vendor" in out
    assert " *" not in cli("providers", "semansys").out
