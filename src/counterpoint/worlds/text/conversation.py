"""`conversation`: the prompt of an agent that sees what was said before as turns of a chat.

A language model reads its own earlier answers as messages of the assistant, and everything else as
messages of the user, or of a tool. Most chat templates want user and assistant in turn, so that
what several others said between two answers of an agent is one message, a line for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from counterpoint.worlds.text.world import Message, Prompt, Statement

GO_ON = "Go on."
"""The question to an agent that nobody has said anything to since it spoke."""


def conversation(
    agent: str,
    system: str,
    question: str,
    history: Sequence[Statement],
    *,
    then: str = "",
    examples: Sequence[Message] = (),
    tools: Sequence[str] = (),
    words: tuple[str, ...] = (),
    most_tokens: int = 0,
) -> Prompt:
    """Returns a prompt in which an agent reads statements as the turns of a conversation.

    Args:
        agent: the agent that answers.
        system: its system message.
        question: the first message, before all statements.
        history: what it reads, in order. Statements of `agent` are its own earlier answers; those
            of others are lines `NAME: TEXT` of the user. Feedback of the environment is a
            `Statement` too, whose agent is any name, for instance `Statement("checker", "3 of 4")`.
        then: a line below what the others have said since its last answer, once it has answered.
        examples: messages before the question, such as an earlier answer that shows the form.
        tools: names whose statements are results of a tool: messages of the role `tool`, without
            a name.
        words: as in `Prompt`.
        most_tokens: as in `Prompt`.
    """
    turns: list[Message] = [*examples, ("user", question)]
    begun = len(turns)
    for one in history:
        role, content = turns[-1]
        if one.agent == agent:
            turns.append(("assistant", one.text))
        elif one.agent in tools:
            turns.append(("tool", one.text))
        elif role == "user":
            turns[-1] = ("user", f"{content}\n{one.agent}: {one.text}")
        else:
            turns.append(("user", f"{one.agent}: {one.text}"))
    role, content = turns[-1]
    if role != "user":
        turns.append(("user", then or GO_ON))
    elif then and len(turns) > begun:
        turns[-1] = ("user", f"{content}\n{then}")
    *earlier, (_, user) = turns
    return Prompt(agent, system, user, words, most_tokens, tuple(earlier))
