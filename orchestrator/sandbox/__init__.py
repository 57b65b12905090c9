"""Where untrusted code runs on one machine: engine, image, locked-down containers, parser, and pool of slots."""

from __future__ import annotations

from orchestrator.sandbox.engine import Engine
from orchestrator.sandbox.parser import Parsed, Parser
from orchestrator.sandbox.parser_lanes import Parsers
from orchestrator.sandbox.pool import Pool
from orchestrator.sandbox.session import Sandbox

__all__ = ["Engine", "Parsed", "Parser", "Parsers", "Pool", "Sandbox"]
