"""The trusted worker that generates programs with a causal LM and fine-tunes it with LoRA."""
