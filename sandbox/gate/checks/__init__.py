"""Checks of the gate, one file each. A check returns what it found and never a value."""
