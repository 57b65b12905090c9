# limit: /tmp not executable
# asked: noexec
# reads back: tmp
import shutil
shutil.copy("/bin/true", "/tmp/true")
os.chmod("/tmp/true", 0o755)
all_refused({"execve": (os.execv, "/tmp/true", ["true"])})
