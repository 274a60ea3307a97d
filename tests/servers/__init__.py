"""Real servers for tests and trials: found or installed, started on free ports, never left behind."""
