"""Identities, results, samples and the journal of responses are stored here."""
