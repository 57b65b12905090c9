"""`orchestrate audit`: what became of each candidate, its program, what it printed, and whether that holds today."""

from __future__ import annotations

import click

from orchestrator.cli.audit.listing import audit_list
from orchestrator.cli.audit.log import audit_log
from orchestrator.cli.audit.prune import audit_prune, audit_prune_adapters, audit_sizes
from orchestrator.cli.audit.query import audit_query
from orchestrator.cli.audit.replay import audit_replay
from orchestrator.cli.audit.show import audit_show
from orchestrator.cli.audit.verify import audit_verify


@click.group(short_help="Look into a run.")
def audit() -> None:
    """Look into a run: every candidate, its program, its verdict and its output."""


for command in (
    audit_list,
    audit_show,
    audit_log,
    audit_replay,
    audit_query,
    audit_sizes,
    audit_prune,
    audit_prune_adapters,
    audit_verify,
):
    audit.add_command(command)
