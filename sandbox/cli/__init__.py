"""The command line: one file per noun. Commands parse and print; what they do is done by the nodes."""
