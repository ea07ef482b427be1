"""The encrypted join at size: one process for each node, frames through pipes, every result checked against DuckDB."""
