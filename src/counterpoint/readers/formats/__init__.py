"""The formats of foreign logs, one file each; start at `catalogue.FORMATS`."""
