# limit: supervisor
# asked: out of reach
all_refused({"kill": (os.kill, 1, signal.SIGKILL), "stop": (os.kill, 1, signal.SIGSTOP),
             "mem": (os.open, "/proc/1/mem", os.O_RDONLY)})
