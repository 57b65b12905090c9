"""The container's entry point: `supervise` serves one candidate, `parse` reads programs without running them."""

from __future__ import annotations

import argparse


def main() -> None:
    """Read the mode and the container's life in seconds from the command line, and serve."""
    arguments = argparse.ArgumentParser(prog="sandbox_image")
    arguments.add_argument("mode", choices=("supervise", "parse"))
    arguments.add_argument("--life", type=float, required=True, help="seconds until the container ends by itself")
    arguments.add_argument("--gpu", action="store_true", help="be ready only if the container's GPU works")
    chosen = arguments.parse_args()
    if chosen.mode == "supervise":
        from sandbox_image.supervisor import supervise

        supervise(life=chosen.life, gpu=chosen.gpu)
    else:
        from sandbox_image.parse_server import serve

        serve(life=chosen.life)


if __name__ == "__main__":
    main()
