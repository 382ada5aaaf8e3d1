"""`export_run`: the agents of a trained team in formats of other tools.

An agent is exported as its adapter or merged into its base model; in files of peft and transformers
or as GGUF. Every folder has a README: see `card`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from counterpoint.errors import (
    CounterpointError,
    OutputError,
    SettingError,
    UnknownNameError,
    choices,
)
from counterpoint.lm.adapters import Adapter, save_adapter
from counterpoint.lm.gguf_file import DTYPES, write_adapter, write_model
from counterpoint.lm.merge import merge_adapter
from counterpoint.lm.model import TINY
from counterpoint.lm.models import errors_only, load_model
from counterpoint.lm.tiny import tiny_model
from counterpoint.runs.files import folder_names, make_folder, remove, write_atomically
from counterpoint.train.lora.card import card
from counterpoint.train.lora.check import demand_opened
from counterpoint.train.lora.learner import LanguageLearner, sample_asks
from counterpoint.train.lora.plan import LanguagePlan, trained_team
from counterpoint.train.lora.seats import agents_by_model, roles_of
from counterpoint.worlds.text.world import Prompt

EXPORTED = "exported"
"""The folder in a run directory for what is exported of it."""
USES = {
    "adapter": {
        "plain": (
            "`peft.PeftModel.from_pretrained(base_model, FOLDER)`, or `vllm serve BASE "
            "--enable-lora --lora-modules {name}=FOLDER`."
        ),
        "activated": (
            "`peft.PeftModel.from_pretrained(base_model, FOLDER)`, with peft 0.18 or newer. "
            "Servers that do not know activated adapters may load this one without a word and "
            "apply it to every token, which is wrong: vLLM is one of them."
        ),
        "last_token": "`peft.PeftModel.from_pretrained(base_model, FOLDER)`.",
    },
    "merged": {
        "plain": (
            "`transformers.AutoModelForCausalLM.from_pretrained(FOLDER)`, or `vllm serve FOLDER`."
        )
    },
    "merged-gguf": {
        "plain": (
            "`llama-server --jinja --model {file}`; LM Studio and Ollama (`FROM ./{file}` in a "
            "Modelfile) read it as well."
        )
    },
    "adapter-gguf": {
        "plain": "`llama-server --jinja --model BASE.gguf --lora {file}`.",
        "activated": (
            "`llama-server --jinja --model BASE.gguf --lora {file}`. **In a conversation of "
            'several turns send `"cache_prompt": false`**: else earlier answers are read as the '
            "adapter made them. The file names the tokens of the opening but the first, since "
            "llama.cpp lets an adapter act from one token before them on."
        ),
    },
}
"""How to load each form of each kind of adapter; what is not here is refused."""

Progress = Callable[[str, int, int], object]
"""Takes what is being done, how much of it is done, and the total."""


class Exported(msgspec.Struct, frozen=True):
    """An agent in one format."""

    agents: list[str]
    """The agents that the files are of: one, or all that share parameters."""
    model: str
    """Their base model."""
    form: str
    """`adapter`, `merged`, `adapter-gguf` or `merged-gguf`."""
    adapter: str
    """Where the adapter acts: `plain`, `activated` or `last_token`."""
    dtype: str
    """The type of the numbers."""
    folder: str
    """Where the files are."""
    bytes: int
    """The size of all files."""


def export_run(
    run: Path,
    out: Path | None = None,
    *,
    agent: str = "",
    merge: bool = False,
    gguf: bool = False,
    dtype: str = "",
    on_progress: Progress = lambda doing, done, total: None,
) -> list[Exported]:
    """Writes the agents of a run at its newest intact checkpoint, a folder `AGENT/FORM` for each.

    Args:
        run: the run directory of a team of language models.
        out: the folder for all of them; by default `exported` in the run directory.
        agent: one agent alone; "" takes all.
        merge: whether the base model with the adapter in it is written, rather than the adapter.
        gguf: whether GGUF is written, rather than the files of peft or transformers.
        dtype: of merged models, a name in `DTYPES`; "" takes the base model's.
        on_progress: called before each agent.

    Raises:
        RunError: there is no run, it is none of language models, or it has no checkpoint.
        UnknownNameError: no agent of this name.
        SettingError: the adapters cannot be exported so, a prompt does not end as other tools
            expect, or a dtype that is unknown or unused.
        ModelError: a model or tokenizer that cannot be written as GGUF.
        OutputError: a folder exists already or cannot be written.
    """
    if dtype and not merge:
        raise SettingError(f"got --dtype {dtype} without --merge; adapters have 32-bit floats")
    if dtype and dtype not in DTYPES:
        raise SettingError(f"got --dtype {dtype}{choices(dtype, DTYPES)}")
    plan, learner, updates = trained_team(run, on_cpu=True)
    form = ("merged" if merge else "adapter") + ("-gguf" if gguf else "")
    kind = plan.language.kind
    demand_form(form, kind)
    if agent and agent not in learner.agents:
        raise UnknownNameError(f"got agent {agent!r}{choices(agent, learner.agents)}")
    met, _ = sample_asks(learner.world, plan.language, plan.seed)
    for model, agents in agents_by_model(learner.models).items():
        demand_opened(model, kind, [ask for ask in met if ask.agent in agents])
    wanted = learner.adapters[agent] if agent else None
    chosen = [(name, x) for name, x in learner.own.items() if wanted in (None, x)]
    root = out or run / EXPORTED
    folders = folder_names(learner.own)
    finals = [root / folders[name] / form for name, _ in chosen]
    for final in finals:
        if final.exists():
            raise OutputError(
                f"got {final}, which exists; delete it, or choose another folder with --out"
            )
    exported = []
    for i, ((name, adapter), final) in enumerate(zip(chosen, finals, strict=True)):
        on_progress(f"writing {name}", i, len(chosen))
        agents = [one for one in learner.agents if learner.adapters[one] is adapter]
        partial = final.with_name(f".{form}.partial")
        try:
            remove(partial)
            make_folder(partial)
            safe = folders[name]
            written = write_agent(plan, learner, adapter, partial, safe, form, dtype)
            use = USES[form][kind].format(name=safe, file=f"{safe}.gguf")
            base = learner.model_of(adapter).name
            readme = describe(plan, learner, met, agents, base, updates, f"{form}, {written}", use)
            write_atomically(partial / "README.md", readme)
            partial.rename(final)
        except CounterpointError:
            raise
        except OSError as error:
            raise OutputError(
                f"could not write {final} ({error.strerror or error}); make room, or choose "
                "another folder with --out"
            ) from error
        finally:
            remove(partial)
            with contextlib.suppress(OSError):  # it is not empty
                final.parent.rmdir()
        size = sum(path.stat().st_size for path in final.iterdir())
        exported.append(Exported(agents, base, form, kind, written, str(final), size))
    on_progress("written", len(chosen), len(chosen))
    return exported


def demand_form(form: str, kind: str) -> None:
    """Raises an error unless adapters of a kind can be written in a form.

    Raises:
        SettingError: they cannot; the message says what to do.
    """
    if kind in USES[form]:
        return
    instead = ["export without --merge for peft"] if "merged" in form else []
    if kind in USES["adapter-gguf"]:
        instead.append("with --gguf alone for llama-server --lora")
    elif form == "adapter-gguf":
        instead.append("export without --gguf for peft")
    raise SettingError(
        f"got a run with adapter={kind}, whose adapters act on a part of the tokens alone and "
        f"cannot be written as {form}; {', '.join(instead)}, or train with --set adapter=plain"
    )


def write_agent(
    plan: LanguagePlan,
    learner: LanguageLearner,
    adapter: Adapter,
    folder: Path,
    name: str,
    form: str,
    dtype: str,
) -> str:
    """Writes one adapter in one form, and returns the type of its numbers."""
    model, kind = learner.model_of(adapter), plan.language.kind
    about = {"name": name, "description": f"trained in {plan.world} under {plan.scheme}"}
    if form == "adapter":
        save_adapter(adapter, folder, model.name, model.invocation(kind))
        return "float32"
    if form == "adapter-gguf":
        # llama.cpp switches an adapter on one token before the tokens that it finds.
        opening = model.invocation(kind)
        if len(opening) == 1:
            raise SettingError(
                f"got a run with adapter={kind} and a template of {model.name} that puts one token "
                "before an answer, which llama.cpp cannot be told; train with --set adapter=plain"
            )
        path = folder / f"{name}.gguf"
        write_adapter(adapter, model.model.config, path, opening[1:], about)
        return "float32"
    merged, tokenizer = fresh_model(model.name)
    merge_adapter(merged, adapter, dtype)
    written = str(merged.dtype).removeprefix("torch.")
    if form == "merged-gguf":
        write_model(merged, tokenizer, folder / f"{name}.gguf", written, about)
        return written
    with errors_only():
        merged.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return written


def fresh_model(name: str) -> tuple[Any, Any]:
    """Returns the base model without anything of ours inside, in its own dtype, and its tokenizer.

    Raises:
        ModelError: it is not on this machine.
    """
    return tiny_model() if name == TINY else load_model(name)


def describe(
    plan: LanguagePlan,
    learner: LanguageLearner,
    met: Sequence[Prompt],
    agents: Sequence[str],
    base: str,
    updates: int,
    what: str,
    use: str,
) -> str:
    """Returns the README of the agents that have one adapter, which belongs to the model `base`."""
    roles = roles_of(learner.world)
    shown = [message for ask in met if ask.agent in agents for message in ask.messages]
    systems = list(dict.fromkeys(text for role, text in shown if role == "system"))
    priors = {
        (name, words): prior.tolist()
        for (name, words), prior in learner.words.priors.items()
        if name in agents
    }
    named = [(name, roles[name]) for name in agents]
    return card(plan, named, base, systems, priors, updates, what, use)
