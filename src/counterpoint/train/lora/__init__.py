"""Teams of language-model agents: a frozen model with a LoRA adapter for each agent.

Start in `learner`.
"""
