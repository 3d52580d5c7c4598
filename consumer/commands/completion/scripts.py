"""The scripts: what each shell needs to complete what stands in a table."""

from collections.abc import Callable, Iterable, Mapping

from consumer.commands.completion.table import Command, Option, Table

_BASH = r"""# Completes {program} in bash: source it, or put it where bash-completion looks.
_{function}() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    local command= each IFS=$' \t\n'
    if [ "$word" = = ]; then word=
    elif [ "$before" = = ]; then before=${{COMP_WORDS[COMP_CWORD-2]}}; fi
    for each in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case $each in {commands}) command=$each; break ;; esac
    done
    COMPREPLY=()
    case "$command $before" in
{values}
    esac
    case $command in
{words}
    esac
}}
complete -F _{function} {program}
"""
_BASH_FILES = (
    "compopt -o filenames 2>/dev/null; IFS=$'\\n'; COMPREPLY+=($(compgen -f -- \"$word\"))"
)

_ZSH = r"""#compdef {program}
# Completes {program} in zsh: put it as _{program} into a folder of $fpath, or source it.
_{function}() {{
    local context state state_descr line
    local -A opt_args
    _arguments -C {options} '1: :->command' '*:: :->options' && return
    case $state in
    command)
        local -a commands=({commands})
        _describe -t commands command commands ;;
    options)
        case $words[1] in
{words}
        esac ;;
    esac
}}
if [[ ${{funcstack[1]}} = _{program} ]]; then _{function} "$@"
else compdef _{function} {program}; fi
"""

_FISH = """# Completes {program} in fish: put it into ~/.config/fish/completions, or source it.
complete -c {program} -f
{lines}
"""


def bash(program: str, table: Table) -> str:
    """Return the script for bash; the old one of macOS takes it, too."""
    values = [
        f"        {_alternatives(command, option)}) {_bash_value(option)}return ;;"
        for command in table.commands
        for option in command.options
        if option.value
    ]
    words = {"''": [*_names(table.options), *_commands(table)]}
    words |= {each.name: [*_names(each.options), *each.words] for each in table.commands}
    return _BASH.format(
        program=program,
        function=_function(program),
        commands="|".join(_commands(table)),
        values="\n".join(values),
        words="\n".join(f"        {name}) {_bash_words(each)} ;;" for name, each in words.items()),
    )


def zsh(program: str, table: Table) -> str:
    """Return the script for zsh."""
    words = []
    for command in table.commands:
        specs = [*map(_zsh_option, command.options)]
        if command.words:
            specs.append(_quoted(f"1:{command.name}:({' '.join(command.words)})"))
        words.append(f"        {command.name}) _arguments {' '.join(specs)} ;;")
    names = (_quoted(f"{each.name}:{each.purpose}") for each in table.commands)
    return _ZSH.format(
        program=program,
        function=_function(program),
        options=" ".join(map(_zsh_option, table.options)),
        commands=" ".join(names),
        words="\n".join(words),
    )


def fish(program: str, table: Table) -> str:
    """Return the script for fish."""
    lines = [f"{_fish(program, None)} {_fish_option(each)}" for each in table.options]
    for command in table.commands:
        lines.append(f"{_fish(program, None)} -a {command.name} -d {_fish_quoted(command.purpose)}")
        here = _fish(program, command)
        lines += [f"{here} {_fish_option(each)}" for each in command.options]
        if command.words:
            lines.append(f"{here} -a {_fish_quoted(' '.join(command.words))}")
    return _FISH.format(program=program, lines="\n".join(lines))


SHELLS: Mapping[str, Callable[[str, Table], str]] = {"bash": bash, "zsh": zsh, "fish": fish}


def _function(program: str) -> str:
    return program.replace("-", "_")


def _commands(table: Table) -> list[str]:
    return [each.name for each in table.commands]


def _names(options: Iterable[Option]) -> list[str]:
    return [name for option in options for name in option.names]


def _alternatives(command: Command, option: Option) -> str:
    return "|".join(f'"{command.name} {name}"' for name in option.names)


def _bash_value(option: Option) -> str:
    """Return what completes the value of an option, which may be nothing."""
    words = f"{_bash_words(option.choices)}; " if option.choices else ""
    return words + (f"{_BASH_FILES}; " if option.takes_file else "")


def _bash_words(words: Iterable[str]) -> str:
    return f'COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$word"))'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", r"'\''") + "'"


def _zsh_option(option: Option) -> str:
    """Return what ``_arguments`` knows an option by."""
    purpose = "".join(f"\\{each}" if each in "[]:" else each for each in option.purpose)
    value = f":{option.value}:{_zsh_value(option)}" if option.value else ""
    return " ".join(_quoted(f"*{name}[{purpose}]{value}") for name in option.names)


def _zsh_value(option: Option) -> str:
    words = " ".join(option.choices)
    if option.takes_file:
        return f"{{compadd -- {words}; _files}}" if words else "_files"
    return f"({words})" if words else ""


def _fish(program: str, command: Command | None) -> str:
    """Return how a completion begins: of one command, or before there is any."""
    where = f"__fish_seen_subcommand_from {command.name}" if command else "__fish_use_subcommand"
    return f"complete -c {program} -n {_fish_quoted(where)}"


def _fish_option(option: Option) -> str:
    names = " ".join(
        f"-l {name.removeprefix('--')}" if name.startswith("--") else f"-s {name[1:]}"
        for name in option.names
    )
    taken = (" -r -F" if option.takes_file else " -x") if option.value else ""
    if option.choices:
        taken += f" -a {_fish_quoted(' '.join(option.choices))}"
    return f"{names}{taken} -d {_fish_quoted(option.purpose)}"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
