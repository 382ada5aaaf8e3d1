"""The published estimators as points of the algebra, each with its source.

`catalogue()` maps names to schemes; `entries()` adds title, citation and, where paper and code
differ, which of the two an entry is. To add one: an `Entry` in `_ENTRIES`, and a line in the
test that works its advantages by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from counterpoint.credit.scheme import Scheme
from counterpoint.errors import UnknownNameError


@dataclass(frozen=True)
class Entry:
    """One published estimator."""

    name: str
    """What `--schemes` and `catalogue()` call it."""
    scheme: Scheme
    """Its point in the algebra."""
    title: str
    """What it does, in a few words."""
    citation: str
    """Where it was published."""
    note: str = ""
    """Where paper and code differ, which of them this is; or what to mind."""


PROMPT, AGENT = ("prompt",), ("agent",)

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
    Entry("reinforce_plus_plus", Scheme(weighting="trajectory"),
          "one mean and deviation for all rollouts of the batch",
          "Hu 2025, REINFORCE++, arXiv 2501.03262"),
    Entry("happo_per_agent", Scheme(center_by=AGENT),
          "each agent its own mean and deviation",
          "Kuba et al. 2022, arXiv 2109.11251; Zhong et al. 2024 (HARL), arXiv 2304.09870",
          "HARL's code with an agent-specific global state and separate parameters; TorchRL's "
          "default in its MAPPO loss; over the steps in which the agent is active"),
    Entry("agent_mean", Scheme(center_by=AGENT, scale_by=()),
          "each agent its own mean, one deviation for all",
          "ours: separates what an own mean does from what an own deviation does"),
    Entry("group_reward_decoupled",
          Scheme(center_by=AGENT, center="running_mean", scale="running_std", memory="ema"),
          "each agent its own running mean and deviation of the group reward",
          "the essay 'The hidden problem with group rewards in multi-agent AI', by analogy with "
          "GDPO, arXiv 2601.05242 (which decouples rewards, not agents)",
          "debiased; statistics advance after they are used"),
    Entry("grpo", Scheme(center_by=PROMPT, weighting="trajectory"),
          "mean and deviation of the rollouts of one prompt",
          "Shao et al. 2024, DeepSeekMath, arXiv 2402.03300, section 4.1",
          "population deviation and no epsilon: constant groups are exactly zero instead"),
    Entry("dr_grpo", Scheme(center_by=PROMPT, scale="none", weighting="trajectory"),
          "reward minus the mean of its prompt's rollouts",
          "Liu et al. 2025, Dr. GRPO, arXiv 2503.20783"),
    Entry("rloo",
          Scheme(center_by=PROMPT, center="leave_one_out", scale="none", weighting="trajectory"),
          "reward minus the mean of the prompt's other rollouts",
          "Kool et al. 2019; Ahmadian et al. 2024, arXiv 2402.14740, section 3.2"),
    Entry("lite_ppo",
          Scheme(center_by=PROMPT, scale_by=(), scale_of="raw", weighting="trajectory"),
          "the prompt's mean, the batch's deviation of rewards",
          "Liu et al. 2025, 'Tricks or Traps?' (Lite PPO), arXiv 2508.08221",
          "its normalization; its token-level loss belongs to the trainer"),
    Entry("gdpo",
          Scheme(center_by=PROMPT, weighting="trajectory", components="normalize_first",
                 whiten="batch"),
          "each reward component normalized in its prompt, summed, whitened over the batch",
          "GDPO, arXiv 2601.05242, section 3"),
    Entry("agent_wise", Scheme(center_by=("prompt", "agent")),
          "each agent its own mean and deviation inside a prompt",
          "Dr. MAS, arXiv 2602.08847, section 4",
          "statistics over an agent's steps, as in its formula"),
    Entry("at_grpo", Scheme(center_by=("prompt", "agent", "turn")),
          "each agent and turn its own group inside a prompt",
          "AT-GRPO ('Stronger Together'), arXiv 2510.11062"),
    Entry("spiral_rae",
          Scheme(center_by=("role", "context"), center="running_mean", scale="none",
                 memory="ema", decay=0.95, update="before"),
          "each role in each game its own running mean",
          "SPIRAL, role-conditioned advantage estimation, arXiv 2506.24119",
          "the baseline advances before it is used, as published; ours is debiased and advances "
          "once a call, the published one starts at 0 and advances once an episode"),
    Entry("marshal_style",
          Scheme(center_by=AGENT, center="running_mean", scale="running_std",
                 memory="welford", update="before"),
          "each player its own mean and deviation over all calls so far",
          "MARSHAL, arXiv 2510.15414",
          "the running variant of its code; the default there is a per-player mean over unique "
          "values"),
    Entry("agent_x_component",
          Scheme(center_by=AGENT, components="normalize_first"),
          "each agent and reward component its own mean and deviation",
          "ours: happo_per_agent and GDPO together"),
    Entry("rank", Scheme(center_by=PROMPT, transform="rank", weighting="trajectory"),
          "mean and deviation of the ranks of a prompt's rollouts",
          "Wierstra et al. 2014, Natural Evolution Strategies, section 3.1 (fitness shaping)"),
)  # fmt: skip


def entries() -> Mapping[str, Entry]:
    """Name to entry, in the order in which the documentation tells them."""
    return MappingProxyType({entry.name: entry for entry in _ENTRIES})


def catalogue() -> Mapping[str, Scheme]:
    """Name to scheme, for every published estimator that the algebra covers."""
    return MappingProxyType({entry.name: entry.scheme for entry in _ENTRIES})


def scheme_named(name: str) -> Scheme:
    """The scheme of that name.

    Raises:
        UnknownNameError: nothing is called that; the message lists what there is.
    """
    if name not in catalogue():
        raise UnknownNameError(f"got scheme {name!r}; wanted one of {', '.join(catalogue())}")
    return catalogue()[name]
