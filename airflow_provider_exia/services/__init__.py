"""Services in Consul: registered with checks, found when they pass, and named with the version that they serve."""
