"""A method, a rule, an operation and a track format for seqplrp."""
