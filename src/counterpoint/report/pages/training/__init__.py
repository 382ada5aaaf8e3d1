"""The page of one training. Start in `page`."""
