"""What is kept: identities, results, samples and the journal of answers."""
