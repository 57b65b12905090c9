# limit: setuid files
# asked: none
found = []
for folder, _, names in os.walk("/"):
    if folder.startswith(("/proc", "/sys")): continue
    for name in names:
        try: mode = os.lstat(os.path.join(folder, name)).st_mode
        except OSError: continue
        if mode & 0o6000 and (mode & 0o170000) == 0o100000: found.append(name)
not_held(", ".join(found[:5])) if found else held("none found")
