# limit: secrets
# asked: nothing of the host
mounts = open("/proc/self/mountinfo").read()
known = {"HOME", "LANG", "OMP_NUM_THREADS", "PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG", "GLIBC_TUNABLES", "PATH",
         "HOSTNAME", "USER", "PYTHONDONTWRITEBYTECODE", "LC_CTYPE"}
torchs = ("TORCH", "PYTORCH", "KMP", "OMP")
extra = sorted(name for name in os.environ if name not in known and not name.startswith(torchs))
bad = extra + [word for word in ("docker.sock", "containerd.sock") if word in mounts]
not_held(", ".join(bad)) if bad else held("no variable and no socket of the host")
