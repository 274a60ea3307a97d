"""Hooks: the only place where an Airflow connection becomes an object of the domain."""
