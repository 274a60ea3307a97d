"""A model library, monitoring and a retraining loop for Apache Airflow."""

__version__ = "0.1.0"
