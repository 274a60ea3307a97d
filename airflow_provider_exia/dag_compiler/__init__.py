"""Pipeline specs become DAG files: checked, deterministic, put in place in one step. Knows no Airflow."""
