"""What compiled DAG files need at parse time, and how they are tried out against the installed Airflow."""
