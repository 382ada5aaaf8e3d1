"""Without torch there is no trainer of neural policies, and nothing of it to test."""

from importlib.util import find_spec

if find_spec("torch") is None:
    collect_ignore_glob = ["test_policy_*.py", "test_language_*.py", "test_audit.py"]
elif find_spec("transformers") is None:
    collect_ignore_glob = ["test_language_*.py"]
