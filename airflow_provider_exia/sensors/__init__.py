"""Sensors: they wait and read, and change nothing."""
