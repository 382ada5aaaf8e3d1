"""Two or more sides that play against each other: past selves, and games that rate a team."""
