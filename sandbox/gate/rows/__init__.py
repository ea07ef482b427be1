"""Tables of rows before the gate: each check recomputes from the table alone, with none of the provider's code."""
