"""A small language model of this machine, with an adapter for each agent. Start in `model`.

`fetch` brings a model here and `models` finds and loads it; `tiny` makes one for tests.
"""
