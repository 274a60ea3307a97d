"""The demo: real flights, a real Airflow, and the story of one model."""
