"""Settings of every property test: the same examples on every machine, however slow it is at the moment.

`pytest --hypothesis-profile=default` looks for new ones.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
