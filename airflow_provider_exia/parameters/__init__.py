"""Parameters in Consul: JSON values with a history, read from several environments, and fixed for a run."""
