"""Risk of re-identification, measured on any table: start with README.md."""
