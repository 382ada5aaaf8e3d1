"""The published estimators as points of the algebra, each with its source.

`catalogue()` maps names to schemes; `entries()` adds title, citation and, where paper and code
differ, which of the two an entry is. To add one: an `Entry` in `_ENTRIES`, and a line in the
test that works its advantages by hand; or an `Entry` in a package of your own, which the group
`counterpoint.schemes` of its entry points names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from counterpoint.credit.scheme import AnyScheme, Mix, Scheme
from counterpoint.plugins import Registry


@dataclass(frozen=True)
class Entry:
    """One published estimator."""

    name: str
    """The name in `--schemes` and `catalogue()`."""
    scheme: AnyScheme
    """Its point in the algebra, or a mix of points."""
    title: str
    """The method in a few words."""
    citation: str
    """The publication."""
    note: str = ""
    """Whether it follows the paper or the code if they differ, or a warning."""

    @property
    def needs(self) -> str:
        """Returns its requirements beyond one reward of any size for each row; empty = none."""
        if not isinstance(self.scheme, Scheme):
            return "a caller that takes several schemes at once, as `advantages` does"
        if self.scheme.conditions:
            return f"at least {1 + max(max(c[:2]) for c in self.scheme.conditions)} components"
        if self.scheme.scale == "mean":
            return "rewards of at least 0"
        return "rewards between 0 and 1" if self.scheme.group_weight != "none" else ""


PROMPT, AGENT = ("prompt",), ("agent",)
ROLE, PROMPT_ROLE = ("role",), ("prompt", "role")


def _rollouts(**fields: Any) -> Scheme:
    """Returns a scheme in which a rollout counts once, with its last reward."""
    return Scheme(**{"rollout_reward": "last", "weighting": "trajectory", **fields})


ALIASES: Mapping[str, str] = MappingProxyType(
    {"ms_swift": "trl", "open_rlhf": "openrlhf", "happo_per_agent": "mappo_per_agent"}
)
"""Other names of entries, and a former one."""

_ENTRIES = (
    Entry("none", Scheme(center="none", scale="none"),
          "the reward itself",
          "Williams 1992, REINFORCE without a baseline"),
    Entry("center", Scheme(scale="none"),
          "reward minus the batch mean",
          "Williams 1992, section 4 (average reward as reinforcement baseline)"),
    Entry("mappo_pooled", Scheme(),
          "one mean and deviation for all agents together",
          "Yu et al. 2022, MAPPO, arXiv 2103.01955",
          "the shared-parameter code path; JaxMARL and Mava pool the same way, per minibatch"),
    Entry("reinforce_plus_plus", _rollouts(),
          "one mean and deviation for all rollouts of the batch",
          "Hu 2025, REINFORCE++, arXiv 2501.03262",
          "verl whitens tokens, so that long answers weigh more; here rollouts count once"),
    Entry("reinforce_plus_plus_baseline",
          _rollouts(center_by=PROMPT, scale="none", whiten="batch"),
          "reward minus its prompt's mean, then whitened over the batch",
          "Hu 2025, REINFORCE++ (baseline variant), arXiv 2501.03262",
          "verl and OpenRLHF whiten tokens; here rollouts count once"),
    Entry("mappo_per_agent", Scheme(center_by=AGENT),
          "per-agent mean and deviation",
          "Kuba et al. 2022, arXiv 2109.11251; Zhong et al. 2024 (HARL), arXiv 2304.09870",
          "HARL's code with an agent-specific global state and separate parameters; TorchRL's "
          "default in its MAPPO loss; over the steps in which the agent is active. Formerly "
          "happo_per_agent; HAPPO's sequential update is the algorithm happo"),
    Entry("agent_mean", Scheme(center_by=AGENT, scale_by=()),
          "per-agent mean, one deviation for all agents",
          "ours: separates the effect of a per-agent mean from that of a per-agent deviation"),
    Entry("group_reward_decoupled",
          Scheme(center_by=AGENT, center="running_mean", scale="running_std", memory="ema"),
          "per-agent running mean and deviation of the group reward",
          "the essay 'The hidden problem with group rewards in multi-agent AI', by analogy with "
          "GDPO, arXiv 2601.05242 (which decouples rewards, not agents)",
          "debiased; statistics advance after they are used"),
    Entry("adaptive",
          Scheme(center_by=("prompt", "agent"), scale_by=AGENT, center="shrunk", scale="shrunk",
                 memory="precision"),
          "means of batch, agent and prompt, each as far as it is known",
          "ours; shrinkage after Efron & Morris 1975 and Morris 1983",
          "chooses between mappo_pooled, mappo_per_agent, grpo and agent_wise by what the rewards "
          "show, and remembers what still holds; own_scale=1 gives all agents steps of one size, 0 "
          "one divisor"),
    Entry("grpo", _rollouts(center_by=PROMPT),
          "mean and deviation of the rollouts of one prompt",
          "Shao et al. 2024, DeepSeekMath, arXiv 2402.03300, section 4.1",
          "population deviation and no epsilon: constant groups are exactly zero instead. A "
          "rollout of several agents counts once, with the mean over its agents. If agents have "
          "rewards of their own, trainers compute grpo_rows instead"),
    Entry("grpo_rows", Scheme(center_by=PROMPT),
          "mean and deviation of all rows of one prompt, over all agents",
          "what TRL, verl and slime compute for GRPO: Shao et al. 2024, arXiv 2402.03300, row by "
          "row", "population deviation and no epsilon; the entries trl, verl and slime have the "
          "numbers of those trainers"),
    Entry("trl", Scheme(center_by=PROMPT, ddof=1, epsilon=1e-4),
          "grpo_rows as TRL computes it",
          "TRL 1.16.0, GRPOTrainer, scale_rewards='group'; ms-swift 4.6 computes the same",
          "deviation with n - 1, plus 1e-4"),
    Entry("trl_batch", Scheme(center_by=PROMPT, scale_by=(), scale_of="raw", ddof=1, epsilon=1e-4),
          "the prompt's mean and the batch's deviation, as TRL computes them",
          "TRL 1.16.0, GRPOTrainer, scale_rewards='batch'",
          "lite_ppo row by row: deviation with n - 1, plus 1e-4"),
    Entry("verl", Scheme(center_by=PROMPT, ddof=1, epsilon=1e-6, singleton="raw"),
          "grpo_rows as verl computes it",
          "verl 0.9.1, compute_grpo_outcome_advantage",
          "deviation with n - 1, plus 1e-6; a group of one keeps its raw reward"),
    Entry("slime", Scheme(center_by=PROMPT, ddof=1, epsilon=1e-6),
          "grpo_rows as slime computes it",
          "slime (2026), post-processing of rollout rewards",
          "deviation with n - 1, plus 1e-6; slime itself pools the whole batch if a prompt has "
          "more or fewer rows than the others"),
    Entry("openrlhf", Scheme(center_by=PROMPT, ddof=1, epsilon=1e-9),
          "grpo_rows as OpenRLHF computes it",
          "OpenRLHF 0.11, advantage estimator group_norm", "deviation with n - 1, plus 1e-9"),
    Entry("art", Scheme(center_by=PROMPT, epsilon=1e-6),
          "grpo_rows as ART computes it",
          "openpipe-art 0.5, preprocessing", "population deviation, plus 1e-6"),
    Entry("rllm", _rollouts(center_by=PROMPT_ROLE, epsilon=1e-6, singleton="raw"),
          "hierarchical_grpo as rLLM computes it",
          "rLLM (2026), advantages of trajectory groups",
          "population deviation, plus 1e-6; a group of one keeps its raw reward"),
    Entry("dr_grpo", _rollouts(center_by=PROMPT, scale="none"),
          "reward minus the mean of its prompt's rollouts",
          "Liu et al. 2025, Dr. GRPO, arXiv 2503.20783",
          "its constant length divisor belongs to the loss"),
    Entry("rloo", _rollouts(center_by=PROMPT, center="leave_one_out", scale="none"),
          "reward minus the mean of the prompt's other rollouts",
          "Kool et al. 2019; Ahmadian et al. 2024, arXiv 2402.14740, section 3.2"),
    Entry("opo", Scheme(center_by=PROMPT, scale="none", rollout_reward="last"),
          "return minus the prompt's mean weighted by length",
          "Hao et al. 2025, OPO, arXiv 2505.23585",
          "length is the number of a rollout's rows here; with one row for each answer it is "
          "dr_grpo by rows"),
    Entry("lite_ppo", _rollouts(center_by=PROMPT, scale_by=(), scale_of="raw"),
          "the prompt's mean, the batch's deviation of rewards",
          "Liu et al. 2025, 'Tricks or Traps?' (Lite PPO), arXiv 2508.08221",
          "its normalization; its token-level loss belongs to the trainer"),
    Entry("maxrl", _rollouts(center_by=PROMPT, scale="mean"),
          "reward minus its prompt's mean, over that mean",
          "Tajwar et al. 2026, MaxRL, arXiv 2602.02710",
          "for rewards of 0 and 1; a prompt without success gives 0"),
    Entry("mgpo", _rollouts(center_by=PROMPT, group_weight="entropy"),
          "grpo, weighted by how uncertain the prompt's success is",
          "Xu et al. 2025, VibeThinker, arXiv 2511.06221, section 3.4",
          "the paper gives no value of its lambda; it is 1 here (group_strength), and 0 is grpo"),
    Entry("corpo", _rollouts(center_by=PROMPT, scale="none", baseline_floor=0.5),
          "reward minus its prompt's mean, which is at least the reward of a correct answer",
          "Garg et al. 2025, CoRPO, arXiv 2511.04439, equation 11",
          "the floor belongs to the reward: set baseline_floor to the least reward of a correct "
          "answer"),
    Entry("gdpo", _rollouts(center_by=PROMPT, components="normalize_first", whiten="batch"),
          "each reward component normalized in its prompt, summed, whitened over the batch",
          "GDPO, arXiv 2601.05242, section 3"),
    Entry("gdpo_conditional",
          _rollouts(center_by=PROMPT, components="normalize_first", whiten="batch",
                    conditions=((1, 0, 1.0),)),
          "gdpo, in which component 1 counts only where component 0 is at least 1",
          "GDPO, arXiv 2601.05242, equation 8",
          "the field conditions sets which component depends on which, and the threshold"),
    Entry("dvao", _rollouts(center_by=PROMPT, components="normalize_first", weigh_by="deviation"),
          "each component normalized in its prompt, weighted by its share of the deviations",
          "Jiang et al. 2026, DVAO, arXiv 2605.25604",
          "the paper calls it variance-adaptive, and the weights are deviations. A constant "
          "component has weight 0"),
    Entry("gd2po",
          _rollouts(center_by=PROMPT, components="normalize_first", whiten="batch", agreement=0.2),
          "gdpo without rollouts in which the components disagree",
          "Liu et al. 2026, GD2PO, arXiv 2606.16771",
          "its soft variant; agreement=1 is the hard one. Rollouts are whitened here, not tokens"),
    Entry("agent_wise", Scheme(center_by=("prompt", "agent")),
          "per-agent mean and deviation inside a prompt",
          "Dr. MAS, arXiv 2602.08847, section 4",
          "statistics over an agent's steps, as in its formula"),
    Entry("hierarchical_grpo", _rollouts(center_by=PROMPT_ROLE),
          "per-role mean and deviation of a prompt's rollouts",
          "rLLM's role map of estimators; see also M-GRPO, arXiv 2511.13288",
          "grpo within a role; PerRole gives each role another scheme"),
    Entry("prpo", Scheme(center_by=ROLE, rollout_reward="last", epsilon=1e-6),
          "per-role mean and deviation of the batch",
          "rLLM (2026), estimator prpo", "population deviation, plus 1e-6"),
    Entry("magrpo", Scheme(center_by=PROMPT, scale_by=("agent", "turn")),
          "the prompt's mean, the deviation of each agent's turns",
          "Liu et al. 2025, MAGRPO, arXiv 2508.04652; CoMLRL 1.4",
          "CoMLRL divides by at least 1e-6"),
    Entry("gigpo",
          Mix(((1.0, _rollouts(center_by=PROMPT, scale="none", rollout_reward="sum")),
               (1.0, Scheme(center_by=("prompt", "context"), scale="none",
                            rollout_reward="to_go", gamma=0.95)))),
          "episodes compared within a prompt, plus steps compared where they began alike",
          "Feng et al. 2025, GiGPO, arXiv 2505.10978, equations 3 to 8",
          "without deviations, as in its code's default; context is the step's anchor state, turn "
          "its order. The code averages episodes by steps, the paper and this by episodes"),
    Entry("mt_grpo",
          Mix(((1.0, _rollouts(center_by=PROMPT, weights=(0.0, 1.0))),
               (1.0, Scheme(center_by=("prompt", "turn"), weights=(1.0, 0.0))))),
          "outcomes compared within a prompt, plus turns compared with the same turn",
          "Zeng et al. 2025, MT-GRPO, arXiv 2505.11821",
          "component 0 is the turn's reward, component 1 the outcome's; its branch for rollouts "
          "without a tool call is left out"),
    Entry("at_grpo", Scheme(center_by=("prompt", "agent", "turn")),
          "one group for each agent and turn inside a prompt",
          "AT-GRPO ('Stronger Together'), arXiv 2510.11062"),
    Entry("spiral_rae",
          Scheme(center_by=("role", "context"), center="running_mean", scale="none",
                 memory="ema", decay=0.95, update="before"),
          "a running mean for each role in each game",
          "SPIRAL, role-conditioned advantage estimation, arXiv 2506.24119",
          "the baseline advances before it is used, as published; ours is debiased and advances "
          "once a call, the published one starts at 0 and advances once an episode"),
    Entry("marshal_style",
          Scheme(center_by=AGENT, center="running_mean", scale="running_std",
                 memory="welford", update="before"),
          "per-player mean and deviation over all calls so far",
          "MARSHAL, arXiv 2510.15414",
          "the running variant of its code; the default there is a per-player mean over unique "
          "values"),
    Entry("agent_x_component",
          Scheme(center_by=AGENT, components="normalize_first"),
          "per-agent mean and deviation of each reward component",
          "ours: mappo_per_agent and GDPO together"),
    Entry("rank", _rollouts(center_by=PROMPT, transform="rank"),
          "mean and deviation of the ranks of a prompt's rollouts",
          "Wierstra et al. 2014, Natural Evolution Strategies, section 3.1 (fitness shaping)"),
)  # fmt: skip


BUILT_IN: Mapping[str, AnyScheme] = MappingProxyType({e.name: e.scheme for e in _ENTRIES})
"""Name to scheme, of our own entries alone."""

_REGISTRY = Registry[Entry](
    "counterpoint.schemes",
    {entry.name: entry for entry in _ENTRIES},
    "a counterpoint.credit.Entry of the same name, with a Scheme, Mix or PerRole",
    lambda name, part: (
        isinstance(part, Entry) and part.name == name and isinstance(part.scheme, AnyScheme)
    ),
)


class _Schemes(Mapping[str, AnyScheme]):
    """The schemes of the entries."""

    def __getitem__(self, name: str) -> AnyScheme:
        return _REGISTRY[ALIASES.get(name, name)].scheme

    def __iter__(self) -> Iterator[str]:
        return iter(_REGISTRY)

    def __len__(self) -> int:
        return len(_REGISTRY)


_SCHEMES = _Schemes()


def entries() -> Registry[Entry]:
    """Returns name to entry: ours in the order of the documentation, then those of plug-ins."""
    return _REGISTRY


def catalogue() -> Mapping[str, AnyScheme]:
    """Returns name to scheme (or mix of schemes), for every entry."""
    return _SCHEMES
