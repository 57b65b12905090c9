# limit: training data
# asked: read-only
write = os.O_CREAT | os.O_WRONLY
all_refused({"create": (os.open, "/data/x", write), "labels": (os.open, "/data/labels.npy", os.O_RDWR),
             "unlink": (os.unlink, "/data/labels.npy")})
