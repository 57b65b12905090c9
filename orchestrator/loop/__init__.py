"""Fine-tune, generate, evaluate, decide, and again: the cycles of one run."""
