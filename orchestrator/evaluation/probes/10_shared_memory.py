# limit: shared memory
# asked: {shm_mib} MiB
# ends as: out_of_memory
# unenforced by: runsc
# reads back: shm
count = 0
try:
    with open("/dev/shm/fill", "wb", buffering=0) as file:
        while count < LIMITS["shm"] + (8 << 20): count += file.write(b"x" * (1 << 20))
except OSError as error: held(f"{errno.errorcode[error.errno]} after {count >> 20} MiB")
not_held(f"wrote {count >> 20} MiB")
