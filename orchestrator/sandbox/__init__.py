"""Where untrusted code runs on one machine: engine, image, locked-down containers, parser, and pool of slots."""
