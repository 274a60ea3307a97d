"""Secrets backends of Airflow."""
