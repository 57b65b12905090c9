# limit: /tmp size
# asked: {tmp_mib} MiB
# ends as: out_of_memory
# reads back: tmp
count = 0
try:
    with open("/tmp/fill", "wb", buffering=0) as file:
        while count < LIMITS["tmp"] + (8 << 20): count += file.write(b"x" * (1 << 20))
except OSError as error: held(f"{errno.errorcode[error.errno]} after {count >> 20} MiB")
not_held(f"wrote {count >> 20} MiB")
