"""Triggers: what deferred sensors wait with, in the triggerer."""
