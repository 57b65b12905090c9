# limit: capabilities
# asked: none
# reads back: capabilities_dropped
status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines())
found = {name: int(status.get(name, "0"), 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")}
not_held(str(found)) if any(found.values()) else held("all sets empty")
