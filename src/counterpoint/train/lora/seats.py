"""The frozen models of a team: which agent speaks with which. Start with `readers_of`.

In most teams all agents share one model. In any team an agent finds its model through its `Reader`:
agents of one model have the same reader. A pass goes through one model, so rows that belong to
agents of different models go in separate passes: see `together`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from counterpoint.errors import SettingError
from counterpoint.lm.adapters import Adapter, lowest_layer
from counterpoint.lm.memory import Prefix
from counterpoint.lm.model import TINY, LanguageModel
from counterpoint.lm.models import SOURCES, find_model
from counterpoint.lm.reader import Kept, Kind, Reader
from counterpoint.train.lora.settings import LanguageSettings, agent_pairs, by_agent
from counterpoint.worlds.text.world import Prompt, TextWorld

Models = LanguageModel | Mapping[str, LanguageModel]
"""The frozen model that all agents share, or the one of each agent by its name."""


def roles_of(world: TextWorld) -> dict[str, str]:
    """Returns the role of each agent of a world."""
    return dict(zip(world.agents, world.roles, strict=True))


def named_models(text: str, roles: Mapping[str, str], default: str) -> dict[str, str]:
    """Returns the name of each agent's model, agents in the order of their names.

    Args:
        text: the setting `models`.
        roles: of the agents.
        default: the model of an agent that is not in the setting.

    Raises:
        SettingError: the setting names neither an agent nor a role.
    """
    own = by_agent("models", text, "model", roles)
    return {agent: own.get(agent, default) for agent in sorted(roles)}


def resolved_model(name: str) -> str:
    """Returns the name of a model, of a folder its whole path.

    Raises:
        ModelError: the model is not there.
    """
    if name == TINY:
        return name
    folder = find_model(name)
    own = name not in SOURCES and Path(name).expanduser().is_dir()
    return str(folder.resolve()) if own else name


def resolved_models(text: str) -> str:
    """Returns the setting `models` with the whole paths of folders.

    Raises:
        ModelError: a model is not there.
        SettingError: a part is no pair, or a path has the sign between pairs in it.
    """
    pairs = agent_pairs("models", text, "model")
    found = {who: resolved_model(name) for who, name in pairs.items()}
    for name in found.values():
        if "," in name:
            raise SettingError(
                f"got models with the folder {name}; wanted a path without a comma, which stands "
                "between the models of two agents"
            )
    return ",".join(f"{who}:{name}" for who, name in found.items())


def chosen_models(policy: str | None, text: str, roles: Mapping[str, str]) -> tuple[str, list[str]]:
    """Returns the model of agents without one of their own, and all models of the team.

    Args:
        policy: the former as the user gave it; None takes the tiny one or, if all agents have one
            of their own, that of the first agent by name.
        text: the setting `models`: see `resolved_models`.
        roles: of the agents.

    Raises:
        ModelError: the model is not there.
        SettingError: no agent has it, or the setting names neither an agent nor a role.
    """
    own = by_agent("models", text, "model", roles)
    if policy is None and len(own) == len(roles):
        policy = own[min(own)]
    name = resolved_model(policy or TINY)
    names = set(named_models(text, roles, name).values())
    if name not in names:
        raise SettingError(
            f"got --policy {name}, which no agent has: models={text} names all; wanted an agent "
            "less in it, or no --policy"
        )
    return name, sorted(names)


def models_by_agent(models: Models, agents: Iterable[str]) -> dict[str, LanguageModel]:
    """Returns the model of each agent."""
    if isinstance(models, LanguageModel):
        return dict.fromkeys(agents, models)
    return {name: models[name] for name in agents}


def agents_by_model(models: Mapping[str, LanguageModel]) -> dict[LanguageModel, list[str]]:
    """Returns the agents of each model; each model once, in the order of its first agent."""
    found: dict[LanguageModel, list[str]] = {}
    for name, model in models.items():
        found.setdefault(model, []).append(name)
    return found


def readers_of(
    models: Models,
    adapters: Mapping[str, Adapter],
    kind: Kind,
    limit: int,
    *,
    writes: bool = True,
    recomputed: bool = False,
) -> dict[str, Reader]:
    """Returns the reader of each agent; agents of one model share it.

    Args:
        models: the frozen models.
        adapters: of each agent.
        kind: where the adapters act.
        limit: the most bytes of prompts that all readers together keep.
        writes: see `Reader`.
        recomputed: see `Reader`.
    """
    groups, readers = agents_by_model(models_by_agent(models, adapters)), dict[str, Reader]()
    kept = Kept[Prefix](limit)
    for model, agents in groups.items():
        first = lowest_layer(adapters[name] for name in agents)
        reader = Reader(model, kind, first, writes=writes, kept=kept, recomputed=recomputed)
        readers |= dict.fromkeys(agents, reader)
    return readers


def together(asks: Sequence[Prompt], readers: Mapping[str, Reader], size: int) -> Iterator[slice]:
    """Yields the rows that go together: neighbours that one model answers, at most `size`."""
    first = 0
    for row in range(1, len(asks) + 1):
        full = row == len(asks) or row - first == size
        if full or readers[asks[row].agent] is not readers[asks[first].agent]:
            yield slice(first, row)
            first = row


def demand_one_model(settings: LanguageSettings, models: Iterable[object]) -> None:
    """Raises an error if agents have different models, and settings need one for all.

    Raises:
        SettingError: agents share an adapter, or a server writes.
    """
    if len(set(models)) == 1:
        return
    if settings.parameters == "shared":
        raise SettingError(
            "got parameters=shared and agents with different models; an adapter belongs to one "
            "model: wanted parameters=separate, or one model"
        )
    if settings.server:
        raise SettingError(
            f"got server={settings.server} and agents with different models; a server of a "
            "training writes for one model: wanted no server, or one model"
        )
