"""Rows of one table, desensitised: from a request to a judged table and what an auditor makes of it."""
