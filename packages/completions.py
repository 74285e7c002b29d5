"""What a shell offers after `refresher` and a tab: made once, so that no key waits for a Python to start."""

from collections.abc import Iterator

from packages.surface import Verb, Word


def bash(verbs: tuple[Verb, ...]) -> str:
    """Return the script for bash."""
    cases = "\n".join(f"        {verb.name}) words='{_offered(verb)}' files='{_files(verb)}' ;;" for verb in verbs)
    names = " ".join(verb.name for verb in verbs)
    return f"""\
# refresher: completion for bash
_refresher() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} words='' files=''
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W '{names} --help --version' -- "$current")
        return
    fi
    case ${{COMP_WORDS[1]}} in
{cases}
    esac
    if [[ " $files " == *" $before "* || ($files == *ARGUMENT* && $current != -*) ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
    [[ " $files " == *" $before "* ]] ||
        mapfile -t -O "${{#COMPREPLY[@]}}" COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -F _refresher refresher
"""


def _offered(verb: Verb) -> str:
    words = [name for option in verb.options for name in option.names if name.startswith("--")]
    return " ".join([*(choice for argument in verb.arguments for choice in argument.choices), *words])


def _files(verb: Verb) -> str:
    """Return the options after which a file is named; ARGUMENT where one may stand by itself."""
    after = [name for option in verb.options if option.is_file for name in option.names]
    return " ".join([*after, *("ARGUMENT" for argument in verb.arguments if argument.is_file)])


def zsh(verbs: tuple[Verb, ...]) -> str:
    """Return the script for zsh."""
    names = " ".join(_quoted(f"{verb.name}:{verb.about}") for verb in verbs)
    cases = "\n".join(f"    {verb.name}) _arguments {' '.join(_zsh(verb))} ;;" for verb in verbs)
    return f"""\
#compdef refresher
local -a verbs
if (( CURRENT == 2 )); then
    verbs=({names})
    _describe verb verbs
    return
fi
shift words
(( CURRENT-- ))
case $words[1] in
{cases}
esac
"""


def _zsh(verb: Verb) -> Iterator[str]:
    for option in verb.options:
        value = f":{option.metavar}:{_zsh_value(option)}" if option.metavar else ""
        for name in option.names:
            others = f"({' '.join(option.names)})" if len(option.names) > 1 else ""
            yield _quoted(f"{others}{name}[{_bracketed(option.about)}]{value}")
    for number, argument in enumerate(verb.arguments, 1):
        place = "*" if argument.metavar.endswith("...") else str(number)
        yield _quoted(f"{place}:{_bracketed(argument.metavar.strip('[].'))}:{_zsh_value(argument)}")


def _zsh_value(word: Word) -> str:
    return f"({' '.join(word.choices)})" if word.choices else "_files" if word.is_file else " "


def _bracketed(text: str) -> str:
    return "".join(f"\\{one}" if one in "[]:" else one for one in text)


def fish(verbs: tuple[Verb, ...]) -> str:
    """Return the script for fish."""
    lines = ["# refresher: completion for fish", "complete -c refresher -f"]
    first = "complete -c refresher -n __fish_use_subcommand"
    lines += [f"{first} -a {verb.name} -d {_quoted(verb.about)}" for verb in verbs]
    lines += [f"{first} -l help -d 'Show the verbs.'", f"{first} -l version -d 'Show the version.'"]
    for verb in verbs:
        here = f"complete -c refresher -n '__fish_seen_subcommand_from {verb.name}'"
        for option in verb.options:
            names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
            value = " -r -F" if option.is_file else " -x" if option.metavar else ""
            lines.append(f"{here} {names}{value} -d {_quoted(option.about)}")
        for argument in verb.arguments:
            what = f"-a '{' '.join(argument.choices)}'" if argument.choices else "-F" if argument.is_file else ""
            if what:
                lines.append(f"{here} {what} -d {_quoted(argument.about)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Return `text` as one word of a shell; a quote as all three take it."""
    return "'" + text.replace("'", "'\\''") + "'"
