"""`cosmos-policy completion`: what a shell needs to complete commands, options and their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from cosmos_policy_core.commands import described


@dataclass(frozen=True)
class Options:
    """Print a script that completes commands, options and values; it asks nobody while you type.

    Examples:
        cosmos-policy completion bash > ~/.local/share/bash-completion/completions/cosmos-policy
        cosmos-policy completion zsh > ~/.zfunc/_cosmos-policy     (a folder in $fpath, before compinit)
        cosmos-policy completion fish > ~/.config/fish/completions/cosmos-policy.fish
    """

    shell: tyro.conf.Positional[Literal["bash", "zsh", "fish"]]
    """Who completes."""


Table = dict[str, dict[str, tuple[str, ...]]]


def main(options: Annotated[Options, tyro.conf.arg(name="")]) -> int:
    """Print the script."""
    from cosmos_policy_core.cli import COMMANDS, available

    lines = {word: COMMANDS[word][1] for word in available()}
    table = {
        word: described.options(described.help_text(word, COMMANDS[first][0]))
        for first in lines
        for word in described.words(first, COMMANDS[first][0])
    }
    writers = {"bash": bash, "zsh": zsh, "fish": fish}
    print(writers[options.shell](table, lines), end="")
    return 0


def bash(table: Table, lines: dict[str, str]) -> str:
    """Write a function for bash; where it knows nothing, files are completed."""
    return "\n".join(
        [
            "# Completion of cosmos-policy; written by `cosmos-policy completion bash`.",
            "_cosmos_policy() {",
            '    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" words=""',
            '    local key="${COMP_WORDS[1]}"',
            '    if [ "$COMP_CWORD" -gt 2 ]; then',
            f'        case "${{COMP_WORDS[1]}} ${{COMP_WORDS[2]}}" in {_pattern(table)}) '
            'key="${COMP_WORDS[1]} ${COMP_WORDS[2]}" ;; esac',
            "    fi",
            '    if [ "$COMP_CWORD" -eq 1 ]; then',
            f'        words="{" ".join(_first(table))}"',
            "    else",
            '        case "$key $previous" in',
            *(f'            "{word} {name}") words="{" ".join(values)}" ;;' for word, name, values in _choices(table)),
            "        esac",
            '        if [ -z "$words" ]; then',
            '            case "$key" in',
            *(f'                "{word}") words="{_after(table, word)}" ;;' for word in table),
            "            esac",
            # Without a dash only subcommands are offered; a file name is the likelier wish.
            '            [ "$COMP_CWORD" -eq 2 ] || case "$current" in -*) ;; *) words="" ;; esac',
            "        fi",
            "    fi",
            '    COMPREPLY=($(compgen -W "$words" -- "$current"))',
            "}",
            "complete -o default -o bashdefault -F _cosmos_policy cosmos-policy",
            "",
        ]
    )


def zsh(table: Table, lines: dict[str, str]) -> str:
    """Write a script for zsh, which can run bash's."""
    head = "#compdef cosmos-policy\nautoload -U +X bashcompinit && bashcompinit\n"
    return head + bash(table, lines)


def fish(table: Table, lines: dict[str, str]) -> str:
    """Write a script for fish."""
    rows = ["# Completion of cosmos-policy; written by `cosmos-policy completion fish`."]
    for word in _first(table):
        rows.append(f"complete -c cosmos-policy -n __fish_use_subcommand -a {word} -d {_quoted(lines[word])}")
    for word, options in table.items():
        first, *second = word.split()
        if second:
            seen = f"__fish_seen_subcommand_from {first}; and not __fish_seen_subcommand_from {second[0]}"
            rows.append(f"complete -c cosmos-policy -n {_quoted(seen)} -a {second[0]}")
        here = _quoted("; and ".join(f"__fish_seen_subcommand_from {part}" for part in (first, *second)))
        for name, values in options.items():
            exact = f" -x -a {_quoted(' '.join(values))}" if values else ""
            if name.startswith("--"):
                rows.append(f"complete -c cosmos-policy -n {here} -l {name[2:]}{exact}")
    return "\n".join(rows) + "\n"


def _first(table: Table) -> list[str]:
    return [word for word in table if " " not in word]


def _after(table: Table, word: str) -> str:
    inner = [other.split()[1] for other in table if other.startswith(f"{word} ")]
    return " ".join([*inner, *table[word]])


def _pattern(table: Table) -> str:
    return "|".join(f'"{word}"' for word in table if " " in word)


def _choices(table: Table) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(word, name, values) for word, options in table.items() for name, values in options.items() if values]


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
