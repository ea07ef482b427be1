"""What all released tables together allow to compute: atoms of the joined rows, and the row space of released cells."""
