# limit: threads
# asked: {pids}, with processes
# ends as: killed out_of_memory
# unenforced by: runsc
# reads back: pids kernel_pids
for count in range(LIMITS["pids"] + 8):
    try: threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
    except RuntimeError: held(f"refused after {count} threads")
not_held("started threads past the limit")
