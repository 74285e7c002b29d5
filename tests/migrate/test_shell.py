import pytest

from refresher.migrate.marks import Marks, NotUnderstoodError, Output, Variable
from refresher.migrate.shell import parse


def words(text):
    """Return the words of each command; a variable as `$NAME`, what can't be told as `$()`."""
    marks = Marks()
    commands = parse(text, marks)
    shown = {mark: f"${what.name}" if isinstance(what, Variable) else "$()" for mark, what in marks.found.items()}
    return [
        ["".join(shown.get(character, character) for character in word) for word in each.words] for each in commands
    ]


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("a b; c && d || e | f", [["a", "b"], ["c"], ["d"], ["e"], ["f"]]),
        ("a 'b c' \"d e\" f\\ g ''", [["a", "b c", "d e", "f g", ""]]),
        ("a '$X' \\$X \"$X\" ${X}y $1 ${X:-z}", [["a", "$X", "$X", "$X", "$Xy", "$()", "$()"]]),
        ("a $(b 'c)' $(d \"e)\")) `f`", [["d", "e)"], ["b", "c)", "$()"], ["f"], ["a", "$()", "$()"]]),
        ("a b#c # d", [["a", "b#c"]]),
        ("[ -f /x ] && { a; } 2>/dev/null || ! b >>/l 2>&1", [["[", "-f", "/x", "]"], ["a"], ["b"]]),
        ("if a; then b; fi", [["a"], ["b"]]),
        ("sudo -n -u app nice -n 5 timeout -k 5 30 a b", [["a", "b"]]),
        ("flock -n /run/l -c 'a b; c'", [["a", "b"], ["c"]]),
        ("bash -lc \"a '$X'\" && sh -c 'b $(c)'", [["a", "$X"], ["c"], ["b", "$()"]]),
        ("env A=1 B=2 a", [["a"]]),
        ("a <<< b", [["a"]]),
        ("$((1 + 2)) a", [["$()", "a"]]),
    ],
)
def test_commands(text, commands):
    assert words(text) == commands


def test_what_a_command_reads_writes_and_is_told_by():
    marks = Marks()
    first, second = parse("A=1 a </in >>/out 2>/err | B=$C b", marks)
    assert (first.settings, first.reads, first.writes, first.piped) == ({"A": "1"}, "/in", "/err", False)
    assert (second.program, second.piped) == ("b", True)
    assert marks.found[second.settings["B"]] == Variable("C")


@pytest.mark.parametrize("text", ["a 'b", 'a "b', "a $(b", "a `b", "a ${b", "a \ue000"])
def test_what_can_not_be_cut(text, canaries):
    secret = canaries.plant("secret")
    with pytest.raises(NotUnderstoodError) as failure:
        parse(f"{secret} {text}", Marks())
    canaries.check(str(failure.value))


def test_more_than_there_are_marks_for():
    with pytest.raises(NotUnderstoodError, match="too long"):
        parse("$a" * 7000, Marks())


def test_nothing_of_a_command_is_shown(canaries):
    secret = canaries.plant("secret")
    marks = Marks()
    commands = parse(f"A={secret} {secret} $(b {secret}) <{secret} >{secret}", marks)
    canaries.check(repr(commands), repr(marks))
    assert Output("") in [*marks.found.values(), Output("")]
