"""What a run has written, and whether it still holds: folder, ledgers, store, journal, verification and queries."""
