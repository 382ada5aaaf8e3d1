"""Tasks for a team whose members know different things and exchange messages. Start in `world`."""
