"""Numbers and ids only: draws, kernels, the month on table rows, the ledger. No science lives here."""
