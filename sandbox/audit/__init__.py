"""Evidence: the log and its witnesses at the nodes; trust, bundle and verifier for an auditor who has no network."""
