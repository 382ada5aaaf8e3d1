"""The page of a diagnosis. Start in `page`."""
