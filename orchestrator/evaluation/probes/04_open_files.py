# limit: open files
# asked: {nofile}
# reads back: nofile
kept = []
for count in range(LIMITS["nofile"] + 8):
    try: kept.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error: held(f"{errno.errorcode[error.errno]} after {count}")
not_held("opened files past the limit")
