"""What every page is made of: numbers, tables, scales and drawings."""
