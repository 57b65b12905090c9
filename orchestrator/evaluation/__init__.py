"""A program in, a verdict out: what is sent to a container, what is heard from it, and how the host grades it."""
