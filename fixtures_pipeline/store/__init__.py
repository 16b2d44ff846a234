"""The store: the tables in DuckDB, who may write them, and every question that is asked of them."""
