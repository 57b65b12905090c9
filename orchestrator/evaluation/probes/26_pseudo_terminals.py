# limit: pseudo-terminals
# asked: none
# reads back: terminals
all_refused({
    "ptmx": (os.open, "/dev/ptmx", os.O_RDWR),
    "openpty": (os.openpty,),
    "queue": (os.open, "/dev/mqueue/x", os.O_CREAT | os.O_RDWR),
})
