# limit: network
# asked: none
# reads back: network
names = sorted(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net") else []
not_held(", ".join(names)) if [name for name in names if name != "lo"] else held("only loopback")
