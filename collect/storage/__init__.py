"""Identities, results, samples and the journal of answers, as they are stored."""
