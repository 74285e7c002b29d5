"""What a file must be before anything in it counts."""

import os

import pytest

from refresher import config
from refresher.config import files
from refresher.core.errors import ConfigError
from tests.config.conftest import VAULT, job, write

FINE = VAULT + job()


def why(path) -> str:
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    (mistake,) = caught.value.mistakes
    assert (mistake.file, mistake.table, mistake.key) == (str(path), "", "")
    return mistake.message


def test_missing_unreadable_and_what_is_no_file(tmp_path):
    assert why(tmp_path / "none.toml") == "cannot be read: No such file or directory"
    assert why(tmp_path) == "cannot be read: Is a directory"
    assert why(tmp_path / "a\0b") == "cannot be read: it is no file name"
    assert why(tmp_path / ("a" * 300)) == "cannot be read: File name too long"


def test_a_named_pipe_does_not_hold_us(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o644)
    assert why(tmp_path / "pipe") == "is not a regular file"


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o622, 0o777])
@pytest.mark.leak("L27")
def test_writable_by_others(tmp_path, mode):
    file = write(tmp_path, FINE)
    file.chmod(mode)
    assert why(file) == f"is writable by group or others (mode {mode:04o}): take that away with chmod go-w"


def test_a_writable_file_hides_no_other_mistake(tmp_path):
    file = write(tmp_path, VAULT + job(path=None))
    file.chmod(0o666)
    with pytest.raises(ConfigError) as caught:
        config.load(file)
    assert [mistake.key for mistake in caught.value.mistakes] == ["", "path"]


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o640, 0o444])
def test_modes_that_are_fine(tmp_path, mode):
    file = write(tmp_path, FINE)
    file.chmod(mode)
    assert list(config.load(file).jobs) == ["crm"]


def test_the_mode_is_that_of_the_file_behind_a_link(tmp_path):
    file = write(tmp_path, FINE)
    (tmp_path / "link.toml").symlink_to(file)
    assert list(config.load(tmp_path / "link.toml").jobs) == ["crm"]
    file.chmod(0o666)
    assert "writable" in why(tmp_path / "link.toml")


def test_a_byte_order_mark_is_accepted(tmp_path):
    assert list(config.load(write(tmp_path, b"\xef\xbb\xbf" + FINE.encode())).jobs) == ["crm"]


@pytest.mark.parametrize("text", [b"[vault]\n# caf\xe9\n", b"[vault]\nx = '\xed\xa0\x80'"])
def test_not_utf_8(tmp_path, text):
    assert why(write(tmp_path, text)) == "is not UTF-8 (line 2)"


def test_too_large(tmp_path, monkeypatch):
    assert files.LARGEST == 64 * 2**20
    monkeypatch.setattr(files, "LARGEST", 2**20)
    assert why(write(tmp_path, b"#" * (2**20 + 1))) == "is larger than 1 MB: split it with include"
    assert "TOML" not in why(write(tmp_path, b"#" * (2**20 + 1)))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[vault\n", 'is not valid TOML at line 1, column 7: the closing "]" of a table\'s name is missing'),
        ("a = 1\na = 2\n", "is not valid TOML at line 2, column 6: this key stands here for the second time"),
        ("[a]\n[a]\n", "is not valid TOML at line 2, column 3: this table stands here for the second time"),
        ("a = hunter2\n", "is not valid TOML at line 1, column 5: no value stands here; a text stands in quotes"),
        ("\na hunter2\n", 'is not valid TOML at line 2, column 3: a key is followed by "=" and a value'),
        ('a = "hunter2', "is not valid TOML at line 1, its last: the closing quotes of a text are missing"),
        ("a = [1,\n", "is not valid TOML at line 2, its last: no value stands here; a text stands in quotes"),
        ("a = 1 2", "is not valid TOML at line 1, column 7: a line holds one key and its value"),
        ("a = '\x01'", "is not valid TOML at line 1, column 6: a character stands here that TOML does not allow"),
        (
            "= 1",
            "is not valid TOML at line 1, column 1: a key is made of letters, digits, _ and -, or stands in quotes",
        ),
        ("a = { b = 1, b = 2 }", "is not valid TOML at line 1, column 19: this key stands here for the second time"),
        ("[[a]\n", 'is not valid TOML at line 1, column 4: the closing "]]" of a table\'s name is missing'),
        ("a = { b = 1", 'is not valid TOML at line 1, its last: the closing "}" of a table is missing'),
        ("a = [1", 'is not valid TOML at line 1, its last: the closing "]" of a list is missing'),
        ("a = 0x", "is not valid TOML at line 1, column 6: a line holds one key and its value"),
    ],
)
def test_syntax_is_told_by_line_and_column_and_never_quoted(tmp_path, text, line):
    assert why(write(tmp_path, text)) == line
    assert "hunter2" not in line


@pytest.mark.parametrize("text", ["a = " + "[" * 20_000, "a = " + "9" * 5000, "a = " + "{a=" * 5000])
def test_beyond_use(tmp_path, text):
    assert why(write(tmp_path, text)) == "is TOML nested, or with numbers, beyond use"


def test_included_files_hold_jobs_for_the_same_defaults(load):
    settings = load(
        'include = ["jobs.d/*.toml"]\n[defaults]\nrenew_before = "5m"\n' + FINE,
        b=job("b", path='"tokens/b"'),
        a=job("a", path='"tokens/a"'),
    )
    assert list(settings.jobs) == ["crm", "a", "b"]
    assert str(settings.jobs["a"].renew_before.duration) == "0:05:00"


def test_a_file_that_two_patterns_name_is_read_once(load, tmp_path):
    settings = load(f'include = ["jobs.d/a.toml", "jobs.d/*", "{tmp_path}/jobs.d/a.toml"]\n' + VAULT, a=job())
    assert list(settings.jobs) == ["crm"]


def test_included_files_hold_nothing_else(mistakes):
    told = mistakes('include = ["jobs.d/a.toml"]\n' + FINE, a='[vault]\nmount = "x"\n[job.x]\n' + job("b", path="3"))
    assert told == [
        "jobs.d/a.toml: [vault]: only the table [jobs] may stand here",
        'jobs.d/a.toml: [job]: unknown table or key; did you mean "jobs"?',
        "jobs.d/a.toml: [jobs.b] path: must be a text in quotes",
    ]


def test_the_same_job_in_two_files_names_both(mistakes):
    (line,) = mistakes('include = ["jobs.d/*.toml"]\n' + FINE, a=job(path='"tokens/other"'))
    assert line == "jobs.d/a.toml: [jobs.crm]: a job of this name stands in jobs.toml too"


def test_the_same_destination_in_two_files_names_both(mistakes):
    (line,) = mistakes('include = ["jobs.d/*.toml"]\n' + FINE, a=job("b"))
    assert line == "jobs.d/a.toml: [jobs.b] path: [jobs.crm] in jobs.toml writes this path already"


def test_a_pattern_may_match_nothing_but_a_name_may_not(load, mistakes):
    settings = load('include = ["jobs.d/*.toml"]\n' + FINE)
    (warning,) = settings.warnings
    assert warning.endswith("include: no file matches jobs.d/*.toml")
    assert mistakes('include = ["jobs.d/a.toml"]\n' + FINE) == ["jobs.toml: include: there is no file jobs.d/a.toml"]


def test_a_broken_included_file_hides_no_other_mistake(mistakes):
    told = mistakes('include = ["jobs.d/*"]\n' + VAULT + job(path=None), a="[", b=job("b", client_id=None))
    assert [line.split(": ")[0] for line in told] == ["jobs.d/a.toml", "jobs.toml", "jobs.d/b.toml"]


@pytest.mark.leak("L27")
def test_included_files_must_not_be_writable_by_others_either(load, mistakes, tmp_path):
    load(FINE, a=job("a", path='"tokens/a"'))
    (tmp_path / "jobs.d" / "a.toml").chmod(0o666)
    (line,) = mistakes('include = ["jobs.d/*"]\n' + FINE)
    assert line.startswith("jobs.d/a.toml: is writable by group or others (mode 0666)")
