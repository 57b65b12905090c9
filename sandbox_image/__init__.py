"""The untrusted program: everything that runs inside a container, on the standard library, numpy and torch alone."""
