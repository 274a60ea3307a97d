"""Consul: its HTTP interface, key by key, as parameters and services use it."""
