# limit: core dumps
# asked: 0 bytes
# reads back: core
soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
held("limit 0") if hard == 0 else not_held(f"limit {hard}")
