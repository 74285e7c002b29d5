import pytest

from refresher.migrate.crontab import read


def test_lines_settings_and_comments():
    found = read('# a comment\n\nMAILTO=a@b\n "X" = "two words" \n*/5 1-3 * jan MON,tue  run it\nX=2\n@daily other\n')
    assert [(each.number, each.schedule, each.command) for each in found.entries] == [
        (5, "*/5 1-3 * jan MON,tue", "run it"),
        (7, "@daily", "other"),
    ]
    assert [dict(each.settings) for each in found.entries] == [
        {"MAILTO": "a@b", "X": "two words"},
        {"MAILTO": "a@b", "X": "2"},
    ]
    assert found.unread == ()


def test_there_are_no_continued_lines():
    found = read("0 * * * * curl -s \\\n  https://id.example.com\n")
    assert [each.command for each in found.entries] == ["curl -s \\"]
    assert found.unread == (2,)


@pytest.mark.parametrize(
    ("line", "command", "stdin"),
    [
        ("cat", "cat", ""),
        ("cat%a%b", "cat", "a\nb"),
        (r"date +\%F", "date +%F", ""),
        (r"cat%a\%b", "cat", "a%b"),
        ("a # b", "a # b", ""),
    ],
)
def test_a_percent_ends_the_command(line, command, stdin):
    (entry,) = read(f"* * * * * {line}").entries
    assert (entry.command, entry.stdin) == (command, stdin)


@pytest.mark.parametrize(
    ("lines", "system", "commands"),
    [
        (["root curl x"], True, ["curl x"]),
        (["root   /opt/a.sh", "www-data X=1 a"], False, ["/opt/a.sh", "X=1 a"]),
        (["curl x"], False, ["curl x"]),
        (["root /opt/a.sh", "curl x"], False, ["root /opt/a.sh", "curl x"]),
        (["TOKEN=1 curl x"], False, ["TOKEN=1 curl x"]),
        (["vault kv put a b=c"], False, ["vault kv put a b=c"]),
        (["/opt/a.sh"], True, ["/opt/a.sh"]),
    ],
)
def test_the_column_of_users(lines, system, commands):
    found = read("\n".join(f"@hourly {line}" for line in lines), system=system)
    assert [each.command for each in found.entries] == commands


def test_a_line_shows_nothing_of_itself(canaries):
    secret = canaries.plant("secret")
    canaries.check(repr(read(f"S={secret}\n* * * * * curl {secret}%{secret}\n")))
