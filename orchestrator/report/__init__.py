"""The report on one or more runs: their numbers, the tables and figures made of them, and the pages that show these."""
