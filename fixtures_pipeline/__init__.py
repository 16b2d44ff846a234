"""Football fixtures in DuckDB, kept by Dagster.

Start reading at `definitions` (what Dagster sees) or at `outcome` (what the rest talks about).
"""
