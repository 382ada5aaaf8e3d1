"""`TextEntry`: a text environment in the registry, ours or one of a user."""

from __future__ import annotations

from dataclasses import is_dataclass

from counterpoint.errors import WorldError
from counterpoint.settings import GivenSettings, settings_from
from counterpoint.worlds.foreign.names import foreign_code
from counterpoint.worlds.kind import Kind, SettingFacts, WorldEntry, WorldFacts, facts_from
from counterpoint.worlds.sequential.world import References
from counterpoint.worlds.text.check import check_world
from counterpoint.worlds.text.world import KEEPS, TextSettings, TextWorld

METHODS = {
    "tasks": "tasks(self, rng, count)",
    "prompts": "prompts(self, task, history)",
    "ending": "ending(self, task, history)",
}
"""The methods that every text world has to define."""


class TextFacts(WorldFacts, frozen=True, kw_only=True):
    """The facts about a text environment."""

    agents: list[str]
    roles: list[str]
    speaker: str
    answers: str
    longest: int
    components: list[str]
    random: float | None
    reference: float | None
    scale: str
    settings: dict[str, SettingFacts]


class TextEntry(WorldEntry[TextWorld]):
    """A text environment in the registry.

    Args:
        world: its class.
        own_name: `package.module:Class` of a class that is not ours; empty if it is.

    Raises:
        WorldError: the `settings_type` of a user's class is not a dataclass of settings.
    """

    kind = Kind.TEXT

    def __init__(self, world: type[TextWorld], own_name: str = "") -> None:
        settings, summary = world.settings_type, getattr(world, "summary", "")
        if own_name and not (is_dataclass(settings) and issubclass(settings, TextSettings)):
            raise WorldError(
                f"got world '{own_name}' whose settings_type is {settings!r}; "
                "wanted a dataclass that derives from TextSettings"
            )
        super().__init__(own_name or world.name, settings, summary, world.source)
        self.world, self.is_own = world, bool(own_name)

    def make(self, settings: GivenSettings | None = None) -> TextWorld:
        """Returns the environment.

        Raises:
            UnknownNameError, SettingError: as for every entry.
            WorldError: the constructor of a user's class fails, or its world is not complete.
        """
        given = settings_from(settings, self.world.settings_type, self.name)
        if not self.is_own:
            return self.world(given)
        if missing := [METHODS[name] for name in METHODS if name in self.world.__abstractmethods__]:
            raise WorldError(
                f"got world '{self.name}' without {', '.join(missing)}; wanted a TextWorld that "
                "defines them"
            )
        with foreign_code(self.name, "its constructor", KEEPS):
            world = self.world(given)
        _check(world, self.name)
        return world

    def check(self, settings: GivenSettings | None = None) -> tuple[str, ...]:
        return check_world(lambda: self.make(settings)) if self.is_own else ()

    def describe(self) -> TextFacts:
        world = self.make()
        return facts_from(
            TextFacts, world, self,
            answers="free text" if world.free else "words",
            random=world.references.random,
            reference=world.references.reference,
            scale=world.references.scale,
        )  # fmt: skip


def _check(world: TextWorld, name: str) -> None:
    """Raises WorldError unless the world has what every text world must have."""
    wanted = ("name", "summary", "agents", "roles", "speaker", "references", "settings")
    if missing := [what for what in wanted if not hasattr(world, what)]:
        raise WorldError(f"got world '{name}' without {', '.join(missing)}; wanted {KEEPS}")
    for what in ("agents", "roles", "components"):
        given = getattr(world, what)
        if not isinstance(given, tuple | list) or not all(_is_name(one) for one in given):
            raise WorldError(
                f"got world '{name}' with {what} {given!r}; wanted a tuple of names, such as ('a',)"
            )
    agents = tuple(world.agents)
    if not agents or len(set(agents)) < len(agents):
        raise WorldError(f"got world '{name}' with agents {agents}; wanted different names")
    if len(world.roles) != len(agents) or world.speaker not in agents:
        raise WorldError(
            f"got world '{name}' with roles {tuple(world.roles)} and speaker {world.speaker!r} for "
            f"agents {agents}; wanted a role for each agent, and one of them as the speaker"
        )
    if not isinstance(world.references, References) or not world.components:
        raise WorldError(
            f"got world '{name}' with references {world.references!r} and components "
            f"{world.components!r}; wanted References(random, reference, scale), and their names"
        )
    if type(world.longest) is not int or world.longest < 1:
        raise WorldError(
            f"got world '{name}' with longest {world.longest!r}; wanted a number of decisions"
        )


def _is_name(value: object) -> bool:
    """Returns whether a value is text that files can hold."""
    return (
        isinstance(value, str) and bool(value) and value == value.encode(errors="ignore").decode()
    )
