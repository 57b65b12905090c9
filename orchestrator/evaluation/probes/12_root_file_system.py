# limit: root file system
# asked: read-only
# reads back: read_only
paths = ("/", "/usr/lib", "/etc", "/var/tmp", "/run", "/home")
opened = {path: (os.open, path + "/x", os.O_CREAT | os.O_WRONLY) for path in paths if os.path.isdir(path)}
all_refused(opened)
