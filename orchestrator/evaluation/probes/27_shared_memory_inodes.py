# limit: shared memory inodes
# asked: {tmp_inodes}
# unenforced by: runsc
# reads back: shm
for count in range(LIMITS["tmp_inodes"] + 8):
    try: os.close(os.open(f"/dev/shm/{count}", os.O_CREAT | os.O_WRONLY))
    except OSError as error: held(f"{errno.errorcode[error.errno]} after {count}")
not_held("made more files than the limit")
