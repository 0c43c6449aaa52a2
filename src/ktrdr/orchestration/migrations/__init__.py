"""Alembic's folder: the environment and one module for each change of the tables."""
