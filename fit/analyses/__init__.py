"""Back-tests, gains of interventions, the choice of models to measure, the ledger."""
