"""Which programs the language model learns from: LEMUR's, curated stage by stage, and no near-duplicates."""
