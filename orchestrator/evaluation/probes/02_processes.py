# limit: processes
# asked: {pids}
# ends as: killed out_of_memory
# reads back: pids kernel_pids
for count in range(LIMITS["pids"] + 8):
    try:
        if os.fork() == 0: time.sleep(1000)
    except OSError as error:
        held(f"{errno.errorcode[error.errno]} after {count} forks")
not_held("forked past the limit")
