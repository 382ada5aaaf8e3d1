"""`counterpoint completion`: a script with which a shell completes commands, options and names."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from counterpoint.audits import AUDITS
from counterpoint.cli.commands import COMMANDS
from counterpoint.cli.options import Option, options_of
from counterpoint.cli.results import finish
from counterpoint.credit import baselines, entries
from counterpoint.games import game_catalogue
from counterpoint.topology import TOPOLOGIES
from counterpoint.train.algorithms import algorithms
from counterpoint.worlds import worlds


@dataclass(frozen=True)
class Completion:
    """Print a script that lets your shell complete commands, options and names.

    It has the names of schemes, worlds, games, topologies and audits that are installed now: print
    it again after you install a package that adds some. bash loads it with
    `source counterpoint.bash`, zsh with `source counterpoint.zsh` after compinit, and fish from
    ~/.config/fish/completions.

    Examples:
      counterpoint completion bash > counterpoint.bash
      counterpoint completion zsh > counterpoint.zsh
      counterpoint completion fish > counterpoint.fish
    """

    shell: Annotated[Literal["bash", "zsh", "fish"], tyro.conf.Positional]
    """The shell."""
    json: bool = False
    """Print the words by command, and by option, as JSON alone."""

    def run(self) -> int:
        """Prints the script."""
        words = completions()
        if self.json:
            finish(words, lambda _: [], None, self.json)
        else:
            sys.stdout.write(SCRIPTS[self.shell](words))
        return 0


def completions() -> dict[str, list[str]]:
    """Returns the words that may follow: after nothing, a command, or a command and an option.

    The keys are an empty text, `compare`, and `compare --schemes`.
    """
    words = {"": [*COMMANDS, "help"], "help": [*COMMANDS, "exit-codes"]}
    for name, entry in COMMANDS.items():
        options = options_of(entry.load())
        words[name] = [
            *(word for one in options if one.is_positional for word in _values(name, one)),
            *(flag for one in options for flag in one.flags),
            *("--help", "--debug"),
        ]
        for one in options:
            if not one.is_positional and (values := _values(name, one)):
                words[f"{name} {one.flags[-1]}"] = values
    return words


def _values(command: str, option: Option) -> list[str]:
    """Returns the values that an option or argument can have; none if they are files or numbers."""
    if option.choices:
        return list(option.choices)
    schemes = [*entries(), *baselines(), *algorithms()]
    known = {
        "scheme": schemes, "schemes": schemes, "algorithm": list(algorithms()),
        "topologies": list(TOPOLOGIES),
        "only": list(AUDITS), "fail_on": list(AUDITS), "game": list(game_catalogue()),
        "world": [entry.name for entry in worlds()],
    }  # fmt: skip
    lists = {("schemes", "name"): "scheme", ("worlds", "name"): "world"}
    return known.get(lists.get((command, option.name), option.name), [])


def _bash(words: dict[str, list[str]]) -> str:
    cases = "\n".join(f'    "{key}") echo "{" ".join(each)}" ;;' for key, each in words.items())
    return f"""\
# Completion of counterpoint for bash.
_counterpoint_words() {{
  case "$1" in
{cases}
  esac
}}
_counterpoint() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
  local command="${{COMP_WORDS[1]}}" listed="" head=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    listed="$(_counterpoint_words "")"
  else
    case "$before" in -*) listed="$(_counterpoint_words "$command $before")" ;; esac
    [ -n "$listed" ] || listed="$(_counterpoint_words "$command")"
  fi
  case "$current" in *,*) head="${{current%,*}}," ;; esac
  COMPREPLY=($(compgen -P "$head" -W "$listed" -- "${{current#"$head"}}"))
}}
complete -o default -F _counterpoint counterpoint
"""


def _zsh(words: dict[str, list[str]]) -> str:
    return f"""\
# Completion of counterpoint for zsh, by way of its functions for bash.
autoload -Uz bashcompinit && bashcompinit
{_bash(words)}"""


def _fish(words: dict[str, list[str]]) -> str:
    lines = ["# Completion of counterpoint for fish."]
    for key, each in words.items():
        command, _, flag = key.partition(" ")
        seen = f"__fish_seen_subcommand_from {command}" if command else "__fish_use_subcommand"
        start = f"complete -c counterpoint -n '{seen}'"
        if flag:
            lines.append(f"{start} -l {flag.lstrip('-')} -x -a '{' '.join(each)}'")
            continue
        if names := [word for word in each if not word.startswith("-")]:
            lines.append(f"{start} -a '{' '.join(names)}'")
        flags = [word for word in each if word.startswith("--") and f"{key} {word}" not in words]
        lines += [f"{start} -l {word.lstrip('-')}" for word in flags]
    return "\n".join(lines) + "\n"


SCRIPTS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
"""Shell to the function that writes its script."""
