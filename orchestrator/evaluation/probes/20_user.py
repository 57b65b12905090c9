# limit: user
# asked: not root, for good
if 0 in (os.getuid(), os.geteuid(), os.getgid()): not_held("runs as root")
all_refused({"setuid": (os.setuid, 0), "setgid": (os.setgid, 0)})
