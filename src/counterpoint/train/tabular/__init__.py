"""Teams with tables or linear policies in exact worlds, many seeds at once. Start in `learner`."""
