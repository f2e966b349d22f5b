"""Recurrent layers keep a state at each branching point, and each branch goes on from a copy."""
