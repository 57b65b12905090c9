# limit: no new privileges
# asked: set
value = LIBC.prctl(39, 0, 0, 0, 0)
held("set") if value == 1 else not_held(f"prctl gives {value}")
