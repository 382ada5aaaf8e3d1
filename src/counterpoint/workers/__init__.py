"""A team at work on a repository.

A planner, workers with fresh contexts, and tests as back-pressure. Start in `loop`.
"""
