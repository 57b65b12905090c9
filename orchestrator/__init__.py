"""The trusted program: it decides, keeps the records, and never runs generated code."""
