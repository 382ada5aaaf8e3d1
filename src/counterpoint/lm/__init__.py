"""A small language model with an adapter for each agent.

It is fetched, loaded, read, written with and adapted here. Start in `model`.
"""
