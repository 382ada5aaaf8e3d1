"""Foreign worlds by name: what a name stands for, and how to construct it.

Three families have names of their own, and `package.module:Class` is anything that can be
imported. A package is imported only when one of its worlds is made.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import pkgutil
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import counterpoint
from counterpoint.errors import (
    CounterpointError,
    SettingError,
    UnknownNameError,
    WorldError,
    choices,
    nearest,
)
from counterpoint.machine.terminal import printable
from counterpoint.optional import missing_package, pip_line
from counterpoint.settings import GivenSettings

PACKAGES = ("mpe2", "lbforaging", "rware")
"""The prefixes of the names of foreign worlds that come from known packages."""


EXTRA = ("pettingzoo", *PACKAGES)
"""The packages of the extra `worlds`."""
PIP_NAMES = {"PIL": "pillow", "cv2": "opencv-python", "yaml": "pyyaml", "Box2D": "box2d"}
"""Modules that are installed under another name."""

PLAIN = (bool, int, float, str, type(None))
"""Types of arguments that are shown and compared as they are."""
SIGNALLED = 128
"""An exit status above it says that a signal ended the process."""
INSTALLED = (
    *(sysconfig.get_path(where) + os.sep for where in ("stdlib", "purelib", "platlib")),
    f"{Path(counterpoint.__file__).parent}{os.sep}",
    "<frozen ",
)
"""How the files of Python's library and of packages begin, ours too."""
OWN = "PACKAGE.MODULE:CLASS"
"""The form of the names of the user's own worlds."""


class Family(NamedTuple):
    """A family of foreign worlds with the same form of name."""

    pattern: str
    """The form of their names."""
    summary: str
    """What they are."""
    source: str
    """Their source."""


FAMILIES = (
    Family("mpe2:NAME",
           "particle worlds: simple_spread_v3, simple_speaker_listener_v4, simple_tag_v3, ...",
           "mpe2 (Lowe et al. 2017, arXiv:1706.02275)"),
    Family("lbforaging:ID", "level-based foraging by gymnasium id: Foraging-8x8-2p-3f-v3, ...",
           "lbforaging (Papoudakis et al. 2021, arXiv:2006.07869)"),
    Family("rware:ID", "robots in a warehouse by gymnasium id: rware-tiny-2ag-v2, ...",
           "rware (Papoudakis et al. 2021, arXiv:2006.07869)"),
    Family(OWN,
           "your own: a PettingZoo environment, whose arguments are its settings, or a TextWorld",
           "yours"),
)  # fmt: skip
"""The environments of other packages that a name finds."""


def construct(name: str, arguments: GivenSettings) -> Constructor:
    """Returns a function that makes the environment called `name`, anew with each call.

    Raises:
        MissingPackageError: the package is not installed.
        UnknownNameError: the package has no such module or attribute.
        WorldError: the object cannot be called.
        SettingError (from the function): the constructor does not take the arguments.
        MissingPackageError, WorldError (from the function): the constructor needs a package that
            is not installed, or fails.
    """
    where, _, what = name.partition(":")
    if where in ("lbforaging", "rware"):
        maker = _from_gymnasium(where, what)
    else:
        maker = _attribute(*(("mpe2." + what, "") if where == "mpe2" else (where, what)), name)
    return Constructor(name, arguments, maker)


class Constructor:
    """Makes the environment called `name`; another process finds it by that name again."""

    def __init__(self, name: str, arguments: GivenSettings, maker: Callable[..., Any]) -> None:
        self.name, self.arguments, self.maker = name, arguments, maker

    def __reduce__(self) -> tuple[Any, ...]:
        return construct, (self.name, self.arguments)

    def __call__(self) -> Any:
        with foreign_code(self.name, "its constructor", "an environment that can be made"):
            try:
                return self.maker(**self.arguments)
            except ModuleNotFoundError as error:
                package = error.name or "a package"
                raise missing_package(
                    f"world '{self.name}'", package, f"pip install {package}"
                ) from error
            except (TypeError, ValueError, AssertionError) as error:
                given = self.arguments.items()
                shown = ", ".join(f"{key}={value!r}" for key, value in given) or "none"
                needed = unset_arguments(self.maker, self.arguments)
                cure = (
                    f": give {' '.join(f'{one}=...' for one in needed)} with --set, or name a "
                    "function without arguments that makes the environment"
                ) if needed else self._known_arguments()  # fmt: skip
                why = message_of(error) or type(error).__name__
                raise SettingError(
                    f"got settings {shown} for '{self.name}', which refuses them: {why}{cure}"
                ) from error

    def _known_arguments(self) -> str:
        """Returns the end of a message if an argument was given that the constructor does not have:
        those that it has."""
        takes = parameters_of(self.maker)
        names = [one.name for one in takes if one.kind is not one.VAR_KEYWORD]
        unknown = [name for name in self.arguments if name not in names]
        if not unknown or len(names) < len(takes):
            return ""
        return choices(unknown[0], names)


def parameters_of(maker: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    """Returns the parameters of a constructor; none of one written in C, which has no signature."""
    try:
        return tuple(inspect.signature(maker).parameters.values())
    except (TypeError, ValueError):
        return ()


def unset_arguments(maker: Callable[..., Any], given: GivenSettings) -> tuple[str, ...]:
    """Returns the arguments that a constructor needs and that are not given."""
    return tuple(
        one.name
        for one in parameters_of(maker)
        if one.default is one.empty
        and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
        and one.name not in given
    )


def constructor_arguments(maker: Callable[..., Any], env: Any) -> dict[str, Any]:
    """Returns the arguments of an environment's constructor with their defaults, as JSON has them.

    A maker that hands on whatever it is given takes the arguments of the environment's class, with
    the defaults under which gymnasium knows it. One that is no plain value is shown as Python
    shows it.
    """
    parameters = inspect.signature(maker).parameters.values()
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        parameters = inspect.signature(type(getattr(env, "unwrapped", env))).parameters.values()
    defaults = {
        one.name: None if one.default is one.empty else one.default
        for one in parameters
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    }
    registered = getattr(getattr(env, "spec", None), "kwargs", None) or {}
    defaults |= {name: registered[name] for name in defaults.keys() & registered.keys()}
    return {name: x if isinstance(x, PLAIN) else repr(x) for name, x in defaults.items()}


def is_foreign(name: str) -> bool:
    """Returns whether a name is that of a foreign world: such names have a colon."""
    return ":" in name


def is_import_path(name: str) -> bool:
    """Returns whether a name is that of an object to import, `package.module:Class`."""
    return is_foreign(name) and name.partition(":")[0] not in PACKAGES


def spelled(name: str) -> str:
    """Returns how a world is called whose name looks like a file or has no colon, such as
    `my_env:MyEnv` for `./my_env.py:MyEnv` and for `my_env.MyEnv`; empty if it has neither."""
    where, colon, what = name.partition(":")
    path = Path(where)
    if path.suffix == ".py" or len(path.parts) > 1:
        parts = path.with_suffix("").parts if not path.is_absolute() else (path.stem,)
        return f"{'.'.join(parts)}:{what or 'CLASS'}"
    if colon:
        return ""
    if "." in where:
        return ":".join(where.rsplit(".", 1))
    return f"{where}:CLASS" if Path(f"{where}.py").is_file() else ""


def search_current_folder(name: str) -> None:
    """Makes modules of the current folder importable, after all others, if `name` is an import
    path.

    It is for names that the user has typed. A name in a file may be that of a stranger, whose
    folder may be the current one.
    """
    here = os.getcwd()
    if is_import_path(name) and here not in sys.path:
        sys.path.append(here)  # processes that are started later get the same path


def import_object(name: str) -> Any:
    """Returns the object called `package.module:Class`.

    Raises:
        MissingPackageError: a package that its module needs is not installed.
        UnknownNameError: there is no such module or attribute.
        WorldError: the module fails when it is imported.
    """
    module, _, path = name.partition(":")
    return _resolved(module, path, name)


KEEPS = "an environment that keeps PettingZoo's interface"
"""The requirement on an environment of somebody else."""


NOT_ITS_FAULT = (CounterpointError, KeyboardInterrupt, GeneratorExit)
"""What foreign code lets pass, and does not raise itself."""


@contextmanager
def foreign_code(name: str, what: str, wanted: str = KEEPS) -> Iterator[None]:
    """Turns what foreign code raises into a WorldError; what it prints goes to standard error."""
    try:
        with redirect_stdout(sys.stderr):
            yield
    except NOT_ITS_FAULT:
        raise
    except BaseException as error:  # a panic of a Rust extension is no Exception
        raise foreign_failure(error, name, what, wanted) from error


def foreign_failure(
    error: BaseException, name: str, what: str, wanted: str = KEEPS
) -> BaseException:
    """Returns the WorldError for an error in foreign code, with the place where it arose.

    The exit that a signal asks for is returned as it is: it is no error of that code.
    """
    if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code > SIGNALLED:
        return error
    message = message_of(error) or "no message"
    return WorldError(
        f"world '{name}' failed in {what}: {type(error).__name__}: {message:.500} "
        f"({place_of(error)}); wanted {wanted}: --debug shows the traceback"
    )


def message_of(error: BaseException) -> str:
    """Returns what an error of foreign code says, as one line that every file can hold."""
    try:
        return printable(" ".join(str(error).split()))
    except Exception:  # its text is foreign code, too
        return "a message that cannot be made"


def place_of(error: BaseException) -> str:
    """Returns the file and the line where an error arose.

    That is the innermost line of code that is neither in Python's library nor in an installed
    package, if there is one: the line that the user can change.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [one for one in frames if not one[0].startswith(INSTALLED)]
    return "{}:{}".format(*(own or frames)[-1]) if frames else "an unknown place"


def _attribute(module: str, path: str, name: str) -> Callable[..., Any]:
    """Returns the constructor at `module:path`; of a module, its `parallel_env` or `env`."""
    target = _resolved(module, path, name)
    if isinstance(target, ModuleType) or not callable(target):  # PettingZoo's old versions say so
        with foreign_code(name, "its import", "a name that its package still has"):
            target = getattr(target, "parallel_env", None) or getattr(target, "env", None) or target
    if not callable(target):
        raise WorldError(
            f"got world '{name}', which is of type {type(target).__name__}; "
            "wanted a class or a function that makes an environment, as package.module:Class"
        )
    made: Callable[..., Any] = target
    return made


def _resolved(module: str, path: str, name: str) -> Any:
    """Returns the object called `path` in the module."""
    if correct := spelled(name):
        raise UnknownNameError(
            f"got world '{name}', but {module} is a file; wanted a module, as Python imports it "
            f"from the current folder: {correct}"
        )
    if not all(module.split(".")):
        raise UnknownNameError(f"got world '{name}', without a module; wanted package.module:Class")
    with foreign_code(name, "its import", "package.module:Class that Python can import"):
        try:
            target: Any = importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise _no_module(module, name, error) from error
    for part in path.split(".") if path else ():
        if isinstance(target, ModuleType) and not hasattr(target, part):
            target = _submodule(target, part)
        elif hasattr(target, part):
            target = getattr(target, part)
        else:
            target = None
        if target is None:
            there = importlib.import_module(module)
            inner = [m.name for m in pkgutil.iter_modules(getattr(there, "__path__", []))]
            # What a file imports from elsewhere is no world of its own.
            own = [key for key, x in vars(there).items() if _is_made_in(x, module)]
            known = [key for key in (*(own or vars(there)), *inner) if key[0] != "_"]
            raise UnknownNameError(
                f"got world '{name}', but {module} has no {path}{choices(part, known)}"
            )
    return target


def _is_made_in(value: object, module: str) -> bool:
    """Returns whether a class or a function was made in a module or below it."""
    return f"{getattr(value, '__module__', '')}.".startswith(f"{module}.")


def _no_module(module: str, name: str, error: ModuleNotFoundError) -> CounterpointError:
    missing = error.name or module
    top = module.partition(".")[0]
    if missing != module and not module.startswith(missing + "."):  # it exists, and needs that
        needed = missing.partition(".")[0]
        install = (
            pip_line("worlds")
            if needed in EXTRA
            else f"pip install {PIP_NAMES.get(needed, needed)}"
        )
        return missing_package(f"world '{name}'", missing, install)
    if missing == top and top == "mpe2":
        return missing_package(f"world '{name}'", top, pip_line("worlds"))
    if missing == top:
        here = Path(f"{top}.py").is_file() or Path(top).is_dir()
        hint = (
            f"{top} stands in the current folder: put PYTHONPATH=. before the command if it is "
            "yours"
            if here
            else "is it installed, or in PYTHONPATH?"
        )
        return UnknownNameError(
            f"got world '{name}', but there is no module {module}; wanted "
            f"package.module:Class, importable from here ({hint})"
        )
    paths = getattr(importlib.import_module(missing.rpartition(".")[0]), "__path__", [])
    known = [m.name for m in pkgutil.iter_modules(paths) if m.name[0] != "_"]
    ending = choices(missing.rpartition(".")[2], known)
    return UnknownNameError(f"got world '{name}', but there is no module {missing}{ending}")


def _submodule(package: ModuleType, part: str) -> ModuleType | None:
    name = f"{package.__name__}.{part}"
    if not hasattr(package, "__path__") or importlib.util.find_spec(name) is None:
        return None
    return importlib.import_module(name)


def _from_gymnasium(package: str, identity: str) -> Callable[..., Any]:
    """Returns the constructor of a registered environment, without checks at each step."""
    if importlib.util.find_spec(package) is None or importlib.util.find_spec("gymnasium") is None:
        raise missing_package(f"world '{package}:{identity}'", package, pip_line("worlds"))
    importlib.import_module(package)
    gymnasium = importlib.import_module("gymnasium")
    entry = gymnasium.registry.get(identity)
    if entry is None:
        start = {"lbforaging": "Foraging", "rware": "rware"}[package]
        known = [key for key in gymnasium.registry if key.startswith(start)]
        raise UnknownNameError(
            f"got world '{package}:{identity}', which is none of the {len(known)} of {package}"
            + (f"; did you mean {' or '.join(near)}?" if (near := nearest(identity, known)) else "")
        )

    def make(**arguments: Any) -> Any:
        env = gymnasium.make(identity, disable_env_checker=True, **arguments)
        return env if entry.max_episode_steps else env.unwrapped

    return make
