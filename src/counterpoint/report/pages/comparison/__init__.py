"""The page of a comparison. Start in `page`."""
