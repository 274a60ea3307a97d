"""Operators: what DAGs are made of."""
