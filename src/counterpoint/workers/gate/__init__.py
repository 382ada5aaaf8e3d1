"""What workers may not change, and which tests pass. Start in `gate` and `checks`."""
