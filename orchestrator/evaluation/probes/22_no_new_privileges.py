# limit: no new privileges
# asked: set
# reads back: no_new_privileges
value = LIBC.prctl(39, 0, 0, 0, 0)
held("set") if value == 1 else not_held(f"prctl gives {value}")
