# limit: tracing
# asked: denied
# reads back: seccomp
all_refused({"ptrace": (call, 101, 16, os.getppid(), 0, 0),
             "process_vm_readv": (call, 310, os.getppid(), 0, 0, 0, 0, 0)})
