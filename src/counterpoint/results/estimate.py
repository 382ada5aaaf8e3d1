"""`Estimate`: what a training of language models is expected to take."""

from __future__ import annotations

from counterpoint.results.parts import Part


class Estimate(Part, frozen=True, kw_only=True):
    """What a training is expected to take, from timings on this machine. Answers are as long as
    they may be, so that times are upper limits where agents stop earlier. Seconds are CPU-seconds
    of the slowest process, as many by the clock if no other program runs; on a GPU, by the clock.
    """

    parameters: int
    """Number of parameters of the frozen models, each of them counted once."""
    trained: int
    """Number of parameters of all adapters."""
    adapter: str
    """Where adapters act: plain, activated or last_token."""
    updates: int
    """Updates of the training."""
    episodes: int
    """Episodes of an update."""
    decisions: int
    """Decisions of an update, of a team that answers at random."""
    prompts: int
    """Different prompts among them."""
    come_back: bool
    """Whether prompts come back, so that most are read once in a training."""
    prompt_tokens: float
    """Mean tokens of a prompt."""
    longest_prompt: int
    """Tokens of the longest prompt."""
    most_tokens: int
    """Tokens that the model reads at most, prompt and answer together; of several models, the
    smallest limit."""
    reading_seconds: float
    """Seconds that the prompts of an update take to read."""
    writing_seconds: float
    """Seconds that the answers of an update take to write; 0 where a server writes, which is not
    asked, so that the times below are without it."""
    learning_seconds: float
    """Seconds that choices, gradients and measurements of an update take."""
    seconds: float
    """Seconds of the first update."""
    minutes: float
    """Minutes of all updates."""
    memory_gb: float
    """Memory in GB, of the GPU if the model is there; of all processes together."""
