# limit: mounts and namespaces
# asked: denied
# reads back: seccomp
flags = 0x10000000  # CLONE_NEWUSER
all_refused({"mount": (call, 165, b"none", b"/tmp", b"tmpfs", 0, 0), "umount": (call, 166, b"/tmp", 0),
             "unshare": (call, 272, flags), "setns": (call, 308, 0, 0),
             "pivot_root": (call, 155, b"/", b"/"), "chroot": (call, 161, b"/tmp")})
