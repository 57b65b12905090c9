"""What people are shown of runs: the live view, the report's numbers, tables, figures and pages."""
